"""Real text: 13 versions of the Brazilian constitution, and novels against datatrove."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
from lxml import html
from warcio.archiveiterator import ArchiveIterator

from tagarela_dagster.corpus.dedup.command import dedup_files
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.recipe.dedup import Dedup, Minhash

MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or Path(__file__).parents[4] / "shared" / "data")
pytestmark = pytest.mark.mirror


def mirror(path: str) -> Path:
    file = MIRROR / "corpus" / path
    if not file.exists():
        pytest.skip(f"no mirror: {file.name} is absent; set TAGARELA_MIRROR")
    return file


def novels(path: Path, number: int, characters: int) -> Iterator[str]:
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        for member in members[:: len(members) // number][:number]:
            file = archive.extractfile(member)
            assert file is not None
            yield file.read(8 * characters).decode("utf-8", "replace")[-characters:]


def test_the_versions_of_the_constitution_are_near_duplicates_of_one(tmp_path: Path) -> None:
    texts = []
    with mirror("web/constituicao-versoes.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                page = html.fromstring(record.content_stream().read())
                texts.append(" ".join(page.xpath("//p//text()")))
    assert len(texts) == 13
    pq.write_table(pa.table({"text": texts}), tmp_path / "constituicao.parquet")
    summary = dedup_files([tmp_path / "constituicao.parquet"], tmp_path / "out", Dedup())
    assert summary["dropped"] == {"near_duplicate": 12}
    assert summary["clusters"] == 1


def test_signatures_of_novels_equal_datatroves() -> None:
    texts = list(novels(mirror("literature/machado-de-assis.tar.xz"), 12, 12_000))
    assert sum(map(len, texts)) == 96_810
    theirs = MinhashDedupSignature("/nonexistent", language="por_Latn")
    signer = Signer(Minhash())
    found = signer.minhash(texts)
    expected = [np.concatenate(theirs.get_signature(theirs.get_shingles(t))) for t in texts]
    assert (found == np.array(expected)).all()
