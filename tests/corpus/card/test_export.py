from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import mlcroissant
import polars as pl
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.card.export import ExportError, export
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.recipe.model import Recipe
from tests.corpus.card.tiny_corpus import TEXTS, make_lake, make_recipe

ALL = sorted(text for rows in TEXTS.values() for text, _, _ in rows)


def make(folder: Path, **card: Any) -> tuple[Recipe, Path]:
    recipe = make_recipe(**card)
    export(make_lake(folder / "lake", recipe), recipe, folder / "out")
    return recipe, folder / "out"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("export"), contact="corpus@example.pt")[1]


def test_every_file_is_listed_with_its_hash(exported: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=exported, check=True)
    listed = [line.split("  ")[1] for line in (exported / "SHA256SUMS").read_text().splitlines()]
    found = [p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()]
    assert sorted([*listed, "SHA256SUMS"]) == sorted(found)
    assert [path for path in listed if path.startswith("data")] == [
        "data/blogues/2021-00000-000.parquet",
        "data/blogues/2022-00000-000.parquet",
        "data/livros/1-00000-000.parquet",
    ]


def test_datasets_polars_and_datatrove_read_it(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from datatrove.pipeline.readers import ParquetReader

    cache = str(tmp_path / "cache")
    whole = datasets.load_dataset(str(exported), split="train", cache_dir=cache)
    assert sorted(whole["text"]) == ALL
    books = datasets.load_dataset(str(exported), "livros", split="train", cache_dir=cache)
    assert books["text"] == ["Era uma vez um faroleiro."]
    frame = pl.read_parquet(exported / "data/**/*.parquet")
    assert sorted(frame["text"]) == ALL
    reader = ParquetReader(str(exported / "data"), glob_pattern="**/*.parquet")
    documents = list(reader.run())
    assert sorted(document.text for document in documents) == ALL
    assert {document.metadata["source"] for document in documents} == {"blogues", "livros"}


def test_the_croissant_is_valid_and_gives_every_document(exported: Path) -> None:
    dataset = mlcroissant.Dataset(jsonld=str(exported / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert dataset.metadata.ctx.is_v1_1()
    records = list(dataset.records("documents"))
    assert sorted(record["documents/text"].decode() for record in records) == ALL
    assert {len(record["documents/quality"]) for record in records} == {
        len(DOCUMENT_SCHEMA.field("quality").type)
    }
    written = json.loads((exported / "croissant.json").read_text(encoding="utf-8"))
    assert written["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    hashes = {f["@id"]: f["sha256"] for f in written["distribution"] if "sha256" in f}
    assert len(hashes) == 3
    assert written["rai:dataReleaseMaintenancePlan"] == "Takedown requests: corpus@example.pt"
    assert written["rai:dataCollectionTimeframe"] == ["1899-01-01", "2022-12-31"]


def test_an_export_has_the_columns_of_the_recipe_and_is_valid(tmp_path: Path) -> None:
    _, out = make(tmp_path, columns=["text", "id", "license"])
    (shard, *_) = sorted((out / "data/blogues").iterdir())
    assert pq.read_schema(shard).names == ["id", "text", "license"]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    dataset = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    assert len(list(dataset.records("documents"))) == 5


def test_the_same_corpus_is_exported_to_the_same_bytes(tmp_path: Path) -> None:
    for columns in (["id", "text"], list(DOCUMENT_SCHEMA.names)):
        sums = []
        for name in ("a", "b"):
            folder = tmp_path / f"{name}{len(columns)}"
            folder.mkdir()
            sums.append((make(folder, columns=columns)[1] / "SHA256SUMS").read_bytes())
        assert sums[0] == sums[1]


def test_an_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    recipe, out = make(tmp_path)
    lake = make_lake(tmp_path / "lake", recipe)
    (out / "data/velho.parquet").write_bytes(b"")
    export(lake, recipe, out)
    assert not (out / "data/velho.parquet").exists()
    (tmp_path / "casa").mkdir()
    (tmp_path / "casa/cartas.txt").write_text("Querida avó")
    with pytest.raises(ExportError, match="holds something else than an export"):
        export(lake, recipe, tmp_path / "casa")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["casa", "lake", "out"]
