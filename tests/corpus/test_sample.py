"""The bundled sample: its files are what its texts say, and the pipeline does what is expected."""

from __future__ import annotations

import bz2
import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tagarela_dagster.corpus.document import document_id
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.sample.build import build
from tagarela_dagster.sample.plan import Plan, read_plan
from tagarela_dagster.sample.prose import SAMPLE, read_prose
from tests.corpus.filtering.filter_prose import (
    fineweb_filter,
    gopher_filter,
    repetition_filter,
    theirs,
)
from tests.corpus.sample_road import Fates, drive

EXPECTED: list[dict[str, Any]] = json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))
DOCUMENTS = [row for row in EXPECTED if row["stage"] != "documents"]
PLAN: Plan = read_plan()
MAX_BYTES = 1_500_000


def partition(row: dict[str, Any]) -> str:
    return f"{row['source']}@{row['snapshot']}"


def key(row: dict[str, Any]) -> tuple[str, str]:
    return partition(row), document_id(row["source"], row["native_id"])


def end(row: dict[str, Any]) -> str:
    return "kept" if row["outcome"] == "kept" else f"{row['stage']}/{row['reason']}"


@pytest.fixture(scope="module")
def fates(tmp_path_factory: pytest.TempPathFactory) -> Fates:
    return drive(tmp_path_factory.mktemp("lake"), load_recipe("recipes/sample.yaml", "full"))


def expanded(path: Path) -> list[tuple[str, bytes]]:
    """What a file holds: compressors may differ between machines, what they hold may not."""
    data = path.read_bytes()
    if path.suffix == ".bz2":
        return [("", bz2.decompress(data))]
    if path.suffix == ".zst":
        return [("", zstandard.ZstdDecompressor().decompress(data))]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [(str(info), archive.read(info)) for info in archive.infolist()]
    members: list[tuple[str, bytes]] = []
    while path.suffix == ".gz" and data:
        decompressor = zlib.decompressobj(31)
        try:
            text = decompressor.decompress(data)
        except zlib.error:
            # The cut member runs into the next one: look for that.
            text, data = b"cut", data[data.index(b"\x1f\x8b", 1) :]
        else:
            data = decompressor.unused_data
        members.append(("", text))
    return members or [("", data)]


def files(folder: Path) -> dict[str, Path]:
    built = [folder / "expected.json", *(p for s in PLAN for p in (folder / s).rglob("*"))]
    return {str(path.relative_to(folder)): path for path in built if path.is_file()}


def test_the_built_files_are_what_texts_and_plan_say(tmp_path: Path) -> None:
    build(tmp_path)
    fresh, bundled = files(tmp_path), files(SAMPLE)
    assert sorted(fresh) == sorted(bundled)
    assert len(fresh) == 38
    differing = [name for name in fresh if expanded(fresh[name]) != expanded(bundled[name])]
    assert differing == []


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    build(tmp_path / "one")
    build(tmp_path / "two")
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert [name for name in one if one[name].read_bytes() != two[name].read_bytes()] == []


def test_every_text_stands_in_some_file() -> None:
    items = [
        i for source in PLAN.values() for files in source.values() for i in sum(files.values(), [])
    ]
    used = {slug for item in items for slug in (item.text, *item.texts)}
    assert set(read_prose()) == used - {""}


def test_the_sample_is_small_and_has_what_it_promises() -> None:
    assert sum(path.stat().st_size for path in files(SAMPLE).values()) < MAX_BYTES
    assert Counter(row["outcome"] for row in EXPECTED) == {
        "kept": 128,
        "dropped": 92,
        "quarantined": 5,
    }
    assert len(DOCUMENTS) == 193
    assert {row["source"] for row in EXPECTED} == set(load_recipe("recipes/sample.yaml").sources)
    assert {
        f"{row['stage']}/{row['reason']}" for row in EXPECTED if row["outcome"] == "dropped"
    } >= {
        "filtered/language",
        "filtered/license_denied",
        "filtered/gopher_short_doc",
        "deduped/exact_duplicate",
        "deduped/near_duplicate",
        "clean/benchmark_last_word_sample",
    }


def test_every_document_has_the_fate_that_is_expected(fates: Fates) -> None:
    found = {k: fates.ends.get(k, "kept") for k in fates.read}
    expected = {key(row): end(row) for row in DOCUMENTS}
    names = {key(row): row["name"] for row in DOCUMENTS}
    assert {names.get(k, k): v for k, v in found.items() if expected.get(k) != v} == {}
    assert set(found) == set(expected)
    assert set(fates.clean) == {k for k, v in expected.items() if v == "kept"}


def test_datatroves_own_filters_let_every_kept_document_through(fates: Fates) -> None:
    corpus = Corpus()
    rules = (
        repetition_filter(corpus.repetition),
        fineweb_filter(corpus.quality),
        gopher_filter(corpus.quality),
    )
    found = {key: theirs(text, *rules) for key, text in fates.clean.items()}
    assert {key: reason for key, reason in found.items() if reason} == {}


def test_every_record_that_gives_no_document_is_counted_by_its_reason(fates: Fates) -> None:
    expected: dict[str, Counter[str]] = {name: Counter() for name in fates.left_out}
    for row in EXPECTED:
        if row["stage"] == "documents":
            quarantined = row["outcome"] == "quarantined"
            expected[partition(row)][("quarantined_" if quarantined else "") + row["reason"]] += 1
    assert fates.left_out == {name: dict(counts) for name, counts in expected.items()}


def test_damaged_records_are_quarantined_with_their_file(fates: Fates) -> None:
    expected = Counter(
        (partition(row), f"{row['snapshot']}/{row['file']}", row["reason"])
        for row in EXPECTED
        if row["outcome"] == "quarantined"
    )
    assert fates.quarantined == expected


def test_a_duplicate_names_the_document_that_stays(fates: Fates) -> None:
    by_place = {f"{partition(row)}/{row['name']}": row for row in DOCUMENTS}
    duplicates = [row for row in DOCUMENTS if "duplicate_of" in row]
    assert len(duplicates) == 31
    survivors = [by_place[row["duplicate_of"]] for row in duplicates]
    assert [row["outcome"] for row in survivors] == ["kept"] * 31
    assert [fates.survivors[key(row)] for row in duplicates] == [
        f"{key(survivor)[1]}@{survivor['snapshot']}" for survivor in survivors
    ]


def test_edits_change_the_text_as_expected(fates: Fates) -> None:
    edited = [row for row in DOCUMENTS if "edits" in row]
    assert Counter(edit for row in edited for edit in row["edits"]) == {"pii": 5, "encoding": 2}
    for row in edited:
        assert fates.clean[key(row)] != fates.read[key(row)], row["name"]
        assert set(row["edits"]) <= set(fates.edits[partition(row)]), row["name"]


@pytest.mark.parametrize(
    "row", [r for r in DOCUMENTS if "gone" in r or "stays" in r], ids=lambda r: r["name"]
)
def test_what_must_go_is_gone_and_what_must_stay_is_there(
    row: dict[str, Any], fates: Fates
) -> None:
    before, after = fates.read[key(row)], fates.clean[key(row)]
    for string in row.get("gone", []):
        assert string in before
        assert string not in after
    for string in row.get("stays", []):
        assert string in after
