from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from tagarela_dagster.corpus.tombstones import sha256
from tests.cli.conftest import Tagarela
from tests.resources.two_sources import PARAGRAPHS, open_road, write_recipe, write_snapshot

BOTH = ("diario@2026-01", "jornal@2026-01")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves its corpus for the others."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def recipe(
    tmp_path: Path, built: Path, tagarela: Tagarela, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A recipe whose corpus is built: paragraph 3 stands in both sources."""
    monkeypatch.setenv("TAGARELA_WORKERS", "1")
    if any(built.iterdir()):
        copytree(built, tmp_path, dirs_exist_ok=True)
        return write_recipe(tmp_path)
    write_snapshot(tmp_path, BOTH[0], PARAGRAPHS[:4])
    write_snapshot(tmp_path, BOTH[1], PARAGRAPHS[3:6])
    path = write_recipe(tmp_path)
    said = tagarela("materialize", "-r", path, "--select", "+clean")
    assert said.code == 0, said.err
    copytree(tmp_path, built, dirs_exist_ok=True)
    return path


def test_trace_shows_every_stage_of_every_copy_and_forget_takes_them_out(
    recipe: Path, tagarela: Tagarela
) -> None:
    name = sha256(PARAGRAPHS[3])
    rows = json.loads(tagarela("trace", name, "-r", recipe, "--json").out)
    assert [row["partition"] for row in rows] == list(BOTH)
    ends = [row["stages"][-1]["stage"] + " " + row["stages"][-1]["fate"] for row in rows]
    assert ends == ["deduped dropped", "clean kept"]
    said = tagarela("trace", rows[0]["id"], "-r", recipe)
    assert "clusters one of 2" in said.text and "reason: exact_duplicate" in said.text

    forgotten = tagarela("forget", rows[1]["id"], "-r", recipe)
    assert "1 duplicate(s) of it stay" in forgotten.text
    assert tagarela("materialize", "-r", recipe, "--select", "+clean").code == 0
    assert "no document" in tagarela("trace", rows[1]["id"], "-r", recipe).sentence
    [left] = json.loads(tagarela("trace", name, "-r", recipe, "--json").out)
    assert left["stages"][-1]["fate"] == "kept", "the copy takes its place"
    assert "'a b' is no document id" in tagarela("forget", "a b", "-r", recipe).sentence


def test_verify_names_a_damaged_file_and_repair_makes_it_again(
    recipe: Path, tagarela: Tagarela, tmp_path: Path
) -> None:
    assert "files are as their manifests say" in tagarela("verify", "-r", recipe).text
    road = open_road(tmp_path)
    path = road.lake.paths(road.lake.require("measured", BOTH[0]), "kept/")[0]
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    said = tagarela("verify", "-r", recipe)
    assert said.code == 1
    assert f"damaged: measured[{BOTH[0]}]" in said.text and "1 of " in said.text
    assert tagarela("verify", "--repair", "-r", recipe).code == 0
    assert tagarela("materialize", "-r", recipe, "--select", "+clean").code == 0
    assert path.read_bytes() == content
    assert tagarela("verify", "-r", recipe).code == 0


def test_the_ledger_comes_by_source_and_variety_and_as_a_picture(
    recipe: Path, tagarela: Tagarela, tmp_path: Path
) -> None:
    by_source = tagarela("ledger", "--by", "source", "-r", recipe).text
    assert "diario: documents in = kept + dropped" in by_source
    assert "unknown: documents in" in tagarela("ledger", "--by", "variety", "-r", recipe).text
    picture = tmp_path / "fluxo.svg"
    assert tagarela("ledger", "--picture", picture, "-r", recipe).code == 0
    assert "exact_duplicate 1" in picture.read_text()


def test_an_export_is_read_by_others(recipe: Path, tagarela: Tagarela, tmp_path: Path) -> None:
    out = tmp_path / "saída"
    said = tagarela("export", out, "-r", recipe)
    assert (said.code, said.text.split(":")[0]) == (
        0,
        "6 documents, 0.0 MB of text, of 2 sources",
    )
    table = pl.read_parquet(out / "data" / "*" / "*.parquet")
    assert sorted(table["text"]) == sorted(PARAGRAPHS[:6])
    (tmp_path / "meu").mkdir()
    (tmp_path / "meu" / "ficheiro").touch()
    assert "something else" in tagarela("export", tmp_path / "meu", "-r", recipe).sentence
