from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.corpus.tombstones import (
    Target,
    Tombstone,
    TombstoneError,
    Tombstones,
    add_tombstones,
    forgotten_in,
    read_tombstones,
    sha256,
)
from tagarela_dagster.corpus.urls import normal_url

ROW = {
    "id": "arquivo_pt:0123456789abcdef0123",
    "url": "https://www.jornal.pt/Noticias/ponte/?id=3#topo",
    "text": "A ponte velha fecha em abril.",
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (ROW["id"], "id"),
        ("http://jornal.pt/Noticias/ponte?id=3", "url"),
        ("JORNAL.pt", "host"),
        ("www.jornal.pt", "host"),
        (sha256(ROW["text"]), "text"),
    ],
)
def test_an_id_a_url_a_host_and_a_hash_are_told_apart_and_mean_the_document(
    name: str, kind: str
) -> None:
    target = Target.parse(name)
    assert target.kind == kind
    assert target.matches(ROW)
    assert Tombstones.of([Tombstone(target.kind, target.sha256)]).match(ROW)


@pytest.mark.parametrize(
    "name", ["jornal.br", "nal.pt", "http://jornal.pt/Noticias", "0" * 64, "oscar:" + "0" * 20]
)
def test_what_is_not_meant_is_not_matched(name: str) -> None:
    target = Target.parse(name)
    assert not target.matches(ROW)
    assert not Tombstones.of([Tombstone(target.kind, target.sha256)]).match(ROW)


def test_what_is_none_of_the_four_is_refused() -> None:
    with pytest.raises(TombstoneError, match="'a ponte' is no document id"):
        Target.parse("a ponte")


def test_two_forms_of_a_url_are_one() -> None:
    assert normal_url("HTTP://WWW.Jornal.pt:80/a/#x") == normal_url("https://jornal.pt/a")
    assert normal_url("https://jornal.pt/a") != normal_url("https://jornal.pt/A")
    assert normal_url("https://jornal.pt:8080/") == "jornal.pt:8080"


def test_the_file_holds_hashes_alone_and_gathers_the_places(tmp_path: Path) -> None:
    path = tmp_path / "tombstones.jsonl"
    target = Target.parse(ROW["id"])
    add_tombstones(path, [Tombstone("id", target.sha256, found=("par/jornal@1",))])
    rows = add_tombstones(path, [Tombstone("id", target.sha256, found=("par/jornal@2",))])
    assert rows == read_tombstones(path)
    assert [row.found for row in rows] == [("par/jornal@1", "par/jornal@2")]
    assert ROW["id"] not in path.read_text()
    assert forgotten_in(rows, "par/jornal@1") == forgotten_in(rows, "par/jornal@2")
    assert forgotten_in(rows, "par/diario@1") is None


def test_a_damaged_file_stops_the_reading_rather_than_bring_text_back(tmp_path: Path) -> None:
    path = tmp_path / "tombstones.jsonl"
    path.write_text('{"kind": "id", "sha2')
    with pytest.raises(TombstoneError, match="line 1 is damaged"):
        read_tombstones(path)
