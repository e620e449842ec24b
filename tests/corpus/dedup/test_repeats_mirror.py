"""Real text: Brazilian and Portuguese laws and technical pages, against brute force."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tagarela_dagster.provenance.lake import Lake
from tests.corpus.dedup.repeated import expected_words, left, repeats, section, words, write_texts

MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or Path(__file__).parents[4] / "shared" / "data")
pytestmark = pytest.mark.mirror


def pages(name: str, number: int, size: int) -> dict[str, str]:
    path = MIRROR / "corpus" / f"{name}.tar.xz"
    if not path.exists():
        pytest.skip(f"no mirror: {path.name} is absent; set TAGARELA_MIRROR")
    found: dict[str, str] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".txt", ".md")) and member.size < size:
                file = archive.extractfile(member)
                assert file is not None
                text = file.read().decode("utf-8", "replace")
                found[member.name] = text.lstrip("!=")
            if len(found) == number:
                break
    return found


def test_what_goes_of_real_text_is_what_brute_force_says(tmp_path: Path) -> None:
    corpus = {
        "mdn@1": [pages("tech/mdn-pt-br", 300, 20_000)],
        "leis@1": [pages("legal/leis-brasil-md", 25, 150_000)],
    }
    rules, ranks = section(50, 6, min_letters=20, left=20), {"mdn": 2, "leis": 1}
    lake = Lake(tmp_path / "lake")
    manifest = repeats(lake, write_texts(tmp_path, corpus, group=40), rules, ranks)
    expected = expected_words(corpus, rules, ranks)
    found = left(lake, manifest, corpus)
    got = {p: {i: t and words(t) for i, t in texts.items()} for p, texts in found.items()}
    assert got == expected
    assert manifest.counts == {
        "documents": 325,
        "line_documents": 66,
        "line_bytes": 151_441,
        "substring_documents": 24,
        "substring_bytes": 1_345_480,
        "document_documents": 0,
        "document_bytes": 0,
        "collisions": 0,
    }
