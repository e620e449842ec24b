"""The mirror recipe on real files: everything is read, and nothing of the marks remains."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tagarela_dagster.corpus.document import Document
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.corpus.sources.registry import plan, reader
from tagarela_dagster.recipe import Recipe, load_recipe

MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or Path(__file__).parents[4] / "shared" / "data")
MARKS = re.compile(r"^#{1,6} |^```|\]\(|\{%|</?(?:p|b|i|div|span|hi|note|xref)[ >/]|&[a-z]+;", re.M)


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("TAGARELA_MIRROR", str(MIRROR))
    return load_recipe("recipes/mirror.yaml")


@pytest.mark.mirror
def test_every_file_of_the_mirror_belongs_to_one_source(recipe: Recipe) -> None:
    if not (MIRROR / "corpus").is_dir():
        pytest.skip(f"no mirror: {MIRROR} is absent; set TAGARELA_MIRROR")
    named = Counter(
        file.name
        for source in recipe.sources.values()
        for files in snapshots(source).values()
        for file in files
    )
    there = {
        path.relative_to(MIRROR / "corpus").as_posix()
        for path in (MIRROR / "corpus").rglob("*")
        if path.is_file()
    }
    assert set(named) == there
    assert max(named.values()) == 1


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "documents", "left_out", "marks"),
    [
        ("anc", 6092, {}, 0),
        ("europarl", 1, {}, 0),
        ("legal_pt", 21, {}, 0),
        ("essays", 2216, {"no_text": 3}, 4),
        ("news", 462, {"no_text": 1}, 0),
        ("science", 55, {"other_language": 1}, 0),
        ("wikipedia", 337, {}, 1),
        ("subtitles", 4, {}, 0),
        ("treebanks", 4014, {}, 29),
        ("tech_pt", 758, {}, 22),
    ],
)
def test_real_sources_give_clean_documents(
    recipe: Recipe, name: str, documents: int, left_out: dict[str, int], marks: int
) -> None:
    """``marks`` that remain stand in the prose: tags that a manual writes about, and the like."""
    if not (MIRROR / "corpus").is_dir():
        pytest.skip(f"no mirror: {MIRROR} is absent; set TAGARELA_MIRROR")
    source = recipe.sources[name]
    reasons: Counter[str] = Counter()
    ids: set[str] = set()
    found = 0
    for files in snapshots(source).values():
        for unit in plan(files, source):
            for record in reader(source.reader).read(unit, source):
                if isinstance(record, Document):
                    ids.add(record.native_id)
                    found += len(MARKS.findall(record.text))
                else:
                    reasons[record.reason] += 1
    assert len(ids) == documents
    assert reasons == left_out
    assert found == marks
