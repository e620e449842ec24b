"""The index on disk: known bytes, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.dedup.index import Table, UnusableIndexError, open_index, write_index
from tagarela_dagster.corpus.dedup.index_build import Layout, build_index
from tagarela_dagster.corpus.dedup.signatures import SignatureError
from tagarela_dagster.provenance.alignment import AlignmentError
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.recipe.dedup import Dedup, Minhash
from tests.corpus.dedup.signed import SECTION, Doc, write_signed

CORPUS = {
    "a@1": [
        [Doc("x", 1, (3, 1), url=9), Doc("y", 2, None, 2, 7), Doc("z", 3, (2, 1), reason="short")],
        [Doc("w", 1, (2, 1))],
    ]
}


def write(path: Path) -> Path:
    keys, other = np.array([1, 2**63], np.uint64), np.array([4, 5], np.uint64)
    documents = np.array([1, 0], np.uint32)
    tables = [
        (Table("exact", 2, True), iter([(keys, other, documents)])),
        (Table("band_000", 1, False), iter([(keys[:1], other[:0], documents[:1])])),
    ]
    write_index(path, "abc", [("00000", 3, 2)], np.array([0, 2], np.uint32), tables)
    return path


def test_the_format_is_pinned(tmp_path: Path) -> None:
    path = write(tmp_path / "a.index")
    content = path.read_bytes()
    assert content[:16] == b"TAGARELA" + (117).to_bytes(8, "little")
    assert content[16:133] == (
        b'{"format": 1, "identity": "abc", "shards": [["00000", 3, 2]], '
        b'"tables": [["exact", 2, true], ["band_000", 1, false]]}'
    )
    assert np.frombuffer(content[192:200], "<u4").tolist() == [0, 2]
    assert np.frombuffer(content[256:288], "<u8").tolist() == [1, 2**63, 4, 5]
    assert np.frombuffer(content[288:296], "<u4").tolist() == [1, 0]
    assert np.frombuffer(content[320:328], "<u8").tolist() == [1]
    assert content[384:].hex() == "30d7385dde38cd388bb379d049492de9"
    assert len(content) == 400


def test_ranges_of_a_table_are_read_alone(tmp_path: Path) -> None:
    index = open_index(write(tmp_path / "a.index"), "abc")
    table = index.table("exact")
    assert [index.search(table, key) for key in (0, 1, 2, 2**63, 2**63 + 1, 2**64)] == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    keys, other, documents = index.read(table, 1, 2)
    assert (keys.tolist(), other.tolist(), documents.tolist()) == ([2**63], [5], [0])
    assert index.rows().tolist() == [0, 2]
    assert index.table("band_001") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[:-1], "checksum"),
        (lambda content: content[:100], "header is damaged"),
        (lambda content: b"", "no index"),
        (lambda content: content.replace(b'"format": 1', b'"format": 2'), "format 2, not 1"),
        (lambda content: content[:300] + b"\1" + content[301:], "checksum"),
        (lambda content: content.replace(b"abc", b"abd"), "inputs or settings have changed"),
    ],
)
def test_an_index_that_cannot_be_used_says_why(change: object, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.index")
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UnusableIndexError, match=why):
        open_index(path, "abc")


def test_an_index_holds_kept_documents_by_ascending_hash(tmp_path: Path) -> None:
    (shards,) = write_signed(tmp_path, CORPUS).values()
    layout = Layout.of(SECTION, captures=True)
    index = build_index(
        tmp_path / "a.index", "abc", shards, SECTION, layout, 1 << 20, tmp_path / "runs"
    )
    assert index.shards == (("00000", 3, 2), ("00001", 1, 1))
    assert index.rows().tolist() == [0, 1, 0]
    assert [(table.name, table.entries) for table in index.tables] == [
        ("url_key", 1),
        ("exact", 3),
        ("normalized", 1),
        ("band_000", 2),
        ("band_001", 2),
    ]
    table = index.table("exact")
    assert index.read(table, 0, 3)[2].tolist() == [1, 0, 2]
    assert not (tmp_path / "runs").exists()


def test_the_bytes_are_the_same_in_any_amount_of_memory(tmp_path: Path) -> None:
    (shards,) = write_signed(tmp_path, CORPUS).values()
    layout = Layout.of(SECTION, captures=False)
    hashes = set()
    for memory in (40, 400, 1 << 20):
        build_index(tmp_path / "a.index", "abc", shards, SECTION, layout, memory, tmp_path / "runs")
        hashes.add(hash_file(tmp_path / "a.index"))
    assert len(hashes) == 1


def test_signatures_of_other_settings_are_refused(tmp_path: Path) -> None:
    (shards,) = write_signed(tmp_path, CORPUS).values()
    section = Dedup(minhash=Minhash(bands=2, seed=2))
    layout = Layout.of(section, captures=False)
    with pytest.raises(SignatureError, match="materialize its signatures again"):
        build_index(
            tmp_path / "a.index", "abc", shards, section, layout, 1 << 20, tmp_path / "runs"
        )


def test_decisions_on_other_documents_are_refused(tmp_path: Path) -> None:
    (shards,) = write_signed(tmp_path, CORPUS).values()
    pq.write_table(pa.table({"reason": pa.nulls(9, pa.string())}), shards[0].paths[1])
    layout = Layout.of(SECTION, captures=False)
    with pytest.raises(AlignmentError, match="decides on 9 documents, .* signs 3"):
        build_index(
            tmp_path / "a.index", "abc", shards, SECTION, layout, 1 << 20, tmp_path / "runs"
        )
