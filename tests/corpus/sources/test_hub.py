"""Hub data sets, from local folders in the hub's layout (nothing is fetched)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources import hub
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.corpus.sources.registry import plan
from tagarela_dagster.recipe.sources import Source


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def read(name: str, mapping: dict[str, Any] | None = None, **fields: Any) -> list[Any]:
    section = {"reader": "hub", "license": "CC0-1.0", "hub": {"name": name, **fields}}
    source = Source.model_validate({**section, "mapping": mapping or {}})
    (unit,) = plan([], source)
    return list(hub.read(unit, source))


def folder(path: Path) -> str:
    rows = [
        {"text": f"Página número {n}.", "url": f"http://exemplo.pt/{n}", "id": f"<urn:{n}>"}
        for n in range(5)
    ]
    (path / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows[:3]), path / "data" / "train-00000-of-00002.parquet")
    pq.write_table(pa.Table.from_pylist(rows[3:]), path / "data" / "train-00001-of-00002.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:1]), path / "data" / "test-00000-of-00001.parquet")
    return str(path)


def test_a_folder_of_parquet_is_streamed(tmp_path: Path) -> None:
    name = folder(tmp_path / "fineweb")
    documents = read(name, {"id": "id", "url": "url"})
    assert [d.text for d in documents] == [f"Página número {n}." for n in range(5)]
    assert documents[4].native_id == "<urn:4>"
    assert documents[4].url == "http://exemplo.pt/4"
    assert [d.native_id for d in read(name, split="test")] == ["test:1"]


def test_a_folder_of_jsonl_is_streamed_and_its_mapping_applied(tmp_path: Path) -> None:
    rows = [
        {"corpo": "Um.", "lang": "pt"},
        {"corpo": "Two.", "lang": "en"},
        {"corpo": None, "lang": "pt"},
    ]
    path = tmp_path / "brwac" / "train.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    found = read(str(path.parent), {"text": "corpo", "where": {"lang": "pt"}})
    assert [d.text for d in found if isinstance(d, Document)] == ["Um."]
    assert [(r.offset, r.reason) for r in found if isinstance(r, Rejected)] == [
        ("row 2", "not_selected"),
        ("row 3", "no_text"),
    ]


def test_the_folder_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "fineweb")
    monkeypatch.setenv("TAGARELA_HUB", str(tmp_path))
    assert len(read("${TAGARELA_HUB}/fineweb")) == 5


def test_errors_name_the_data_set(tmp_path: Path) -> None:
    name = folder(tmp_path / "fineweb")
    with pytest.raises(hub.HubError, match=r"fineweb, train: no column 'texto'; there are: text"):
        read(name, {"text": "texto"})
    with pytest.raises(hub.HubError, match=r"fineweb, validation cannot be opened.*hub\.split"):
        read(name, split="validation")
    with pytest.raises(hub.HubError, match="there is no folder"):
        read(str(tmp_path / "nenhum"))
    with pytest.raises(hub.HubError, match=r"ninguem/nada, train cannot be opened"):
        read("ninguem/nada")


def test_a_damaged_file_stops_with_the_row_it_came_to(tmp_path: Path) -> None:
    name = folder(tmp_path / "fineweb")
    (tmp_path / "fineweb" / "data" / "train-00001-of-00002.parquet").write_bytes(b"PAR1 lixo PAR1")
    with pytest.raises(hub.HubError, match="fineweb, train: reading stopped after row 3"):
        read(name)


def test_a_hub_source_has_one_snapshot_without_files() -> None:
    fields = {"name": "a/b", "revision": "refs/pr/1"}
    source = Source.model_validate({"reader": "hub", "license": "CC0-1.0", "hub": fields})
    assert snapshots(source) == {"refs-pr-1": []}
    assert [unit.name for unit in plan([], source)] == ["hub"]


def test_the_module_does_not_load_the_library() -> None:
    code = "import sys, tagarela_dagster.corpus.sources.hub; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
