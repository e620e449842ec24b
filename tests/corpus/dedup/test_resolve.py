"""Who survives: every order that a recipe can state, and the newest capture of a URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.dedup import Dedup
from tests.corpus.dedup.signed import MINHASH, Corpus, Doc, cluster, drops, write_signed

COPIES: Corpus = {
    "jornal@2012": [[Doc("j1", 1, date="2012-05-01", quality=0.2)]],
    "jornal@2015": [[Doc("j2", 1, date="2011-01-01"), Doc("j0", 1, quality=float("nan"))]],
    "livros@2011": [[Doc("m", 1, date="2001-01-01", quality=0.9)]],
    "arquivo@2010": [[Doc("a", 1, date="1996-10-13", quality=-0.1)]],
}
"""Six copies of one text."""
RANKS = {"jornal": 1, "livros": 2, "arquivo": 3}


@pytest.mark.parametrize(
    ("order", "survivor"),
    [
        (("rank", "source", "snapshot", "id"), "j1@2012"),
        (("quality",), "m@2011"),
        (("newest",), "j1@2012"),
        (("oldest",), "a@2010"),
        (("snapshot",), "a@2010"),
        (("source",), "a@2010"),
        (("id",), "a@2010"),
        (("rank", "id"), "j0@2015"),
        ((), "a@2010"),
    ],
)
def test_the_order_of_the_recipe_says_who_survives(
    order: tuple, survivor: str, tmp_path: Path
) -> None:
    lake, section = Lake(tmp_path / "lake"), Dedup(minhash=MINHASH, order=order)
    manifest = cluster(lake, write_signed(tmp_path, COPIES), section, RANKS)
    found = drops(lake, manifest)
    assert set(found.values()) == {("exact_duplicate", survivor)}
    assert len(found) == 4


def test_a_copy_of_a_near_duplicate_is_exact_whoever_survives(tmp_path: Path) -> None:
    corpus = {"a@1": [[Doc("x", 1, (1, 2)), Doc("y", 1, (1, 2)), Doc("z", 2, (1, 3), quality=1)]]}
    lake, section = Lake(tmp_path / "lake"), Dedup(minhash=MINHASH, order=("quality",))
    manifest = cluster(lake, write_signed(tmp_path, corpus), section)
    assert drops(lake, manifest) == {
        "a@1/x": ("near_duplicate", "z@1"),
        "a@1/y": ("exact_duplicate", "z@1"),
    }


def test_short_documents_are_near_duplicates_by_their_words(tmp_path: Path) -> None:
    corpus = {
        "a@1": [
            [
                Doc("fim", 1, None, 3, normal=5),
                Doc("FIM", 2, None, 3, normal=5),
                Doc("longo", 3, (1, 2), 9, normal=5),
                Doc("!", 4, None, 0, normal=6),
                Doc("?", 5, None, 0, normal=6),
            ]
        ]
    }
    lake = Lake(tmp_path / "lake")
    found = drops(lake, cluster(lake, write_signed(tmp_path, corpus)))
    assert found == {"a@1/fim": ("near_duplicate", "FIM@1")}


PAGES: Corpus = {
    "arquivo@1": [
        [
            Doc("antiga", 1, (1, 2), url=1, date="2001-01-01"),
            Doc("outra", 2, (3, 4), url=2, date="2009-01-01"),
        ]
    ],
    "arquivo@2": [
        [
            Doc("nova", 3, (5, 6), url=1, date="2008-01-01"),
            Doc("mesma", 4, (7, 8), url=2, date="2009-01-01"),
            Doc("sem data", 5, (9, 9), url=1),
            Doc("curta", 6, (0, 0), url=1, date="2015-01-01", reason="short"),
        ]
    ],
    "jornal@1": [[Doc("cópia", 1, (1, 2), url=1), Doc("ponte", 7, (5, 4), url=1)]],
}


@pytest.mark.parametrize("sources", [("arquivo",), ("arquivo_pt",)])
def test_only_the_newest_capture_of_a_source_takes_part(sources: tuple, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    section = Dedup(minhash=MINHASH, newest_capture=sources)
    readers = {"arquivo": "arquivo_pt", "jornal": "files"}
    manifest = cluster(lake, write_signed(tmp_path, PAGES), section, readers=readers)
    # "antiga" is gone before the clusters, so that its copy in another source stays; "outra" is as
    # old as "mesma", of a later snapshot; what the filters drop is no capture.
    assert drops(lake, manifest) == {
        "arquivo@1/antiga": ("older_capture", "nova@2"),
        "arquivo@1/outra": ("older_capture", "mesma@2"),
        "arquivo@2/sem data": ("older_capture", "nova@2"),
        "jornal@1/ponte": ("near_duplicate", "nova@2"),
    }
    assert manifest.counts["older_captures"] == 3
    assert manifest.counts["documents"] == 7


def test_captures_are_left_alone_unless_the_recipe_says_so(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    found = drops(lake, cluster(lake, write_signed(tmp_path, PAGES)))
    assert {reason for reason, _ in found.values()} == {"exact_duplicate", "near_duplicate"}
    assert not Dedup().keeps_newest("arquivo_pt", "arquivo_pt")
    assert Dedup(newest_capture=True).keeps_newest("qualquer", "files")


@pytest.mark.parametrize(
    ("order", "message"),
    [(["id", "id"], "id stands in it twice"), (["newest", "oldest"], "exclude")],
)
def test_an_order_that_contradicts_itself_is_refused(order: list, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Dedup(order=order)
