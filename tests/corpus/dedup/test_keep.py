from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.dedup.keep import DROP_SCHEMA, apply, read_drops
from tagarela_dagster.provenance.alignment import AlignmentError
from tagarela_dagster.provenance.lake import Lake
from tests.corpus.dedup.signed import Doc, cluster, write_signed

CORPUS = {
    "a@1": [
        [Doc("fora", 9, reason="short"), Doc("rio", 1, (1, 2)), Doc("rio", 2, (1, 3))],
        [Doc("fonte", 1, (5, 6)), Doc("ponte", 3, (7, 8))],
    ]
}


def keep_list(folder: Path) -> list[Path]:
    lake = Lake(folder / "lake")
    return lake.paths(cluster(lake, write_signed(folder, CORPUS)), "keep/")


def test_a_keep_list_names_shard_row_and_survivor(tmp_path: Path) -> None:
    (path,) = keep_list(tmp_path)
    table = pq.read_table(path)
    assert table.schema == DROP_SCHEMA
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("00000", 1, "rio", "exact_duplicate", "fonte@1"),
        ("00000", 2, "rio", "near_duplicate", "fonte@1"),
    ]


def test_drops_are_laid_over_decisions_by_row(tmp_path: Path) -> None:
    paths = keep_list(tmp_path)
    ids, reasons = pa.array(["fora", "rio", "rio"]), pa.array(["short", None, None])
    found = apply(reasons, ids, read_drops(paths, "00000"))
    assert [column.to_pylist() for column in found] == [
        ["short", "exact_duplicate", "near_duplicate"],
        [None, "fonte@1", "fonte@1"],
    ]
    nothing = pa.chunked_array([pa.nulls(2, pa.string())])
    kept = apply(nothing, pa.array(["fonte", "ponte"]), read_drops(paths, "00001"))
    assert [column.null_count for column in kept] == [2, 2]
    assert [column.null_count for column in apply(nothing, nothing, read_drops([], "x"))] == [2, 2]


@pytest.mark.parametrize(
    ("ids", "reasons", "message"),
    [
        (["fora", "rio"], [None, None], "row 2 is dropped of 2"),
        (["fora", "rio", "mar"], [None] * 3, "other ids"),
        (["fora", "rio", "rio"], [None, "short", None], "dropped before"),
    ],
)
def test_drops_of_other_documents_are_refused(
    ids: list, reasons: list, message: str, tmp_path: Path
) -> None:
    drops = read_drops(keep_list(tmp_path), "00000")
    with pytest.raises(AlignmentError, match=message):
        apply(pa.array(reasons, pa.string()), pa.array(ids), drops)


def test_survivors_that_share_id_and_snapshot_are_told_apart(tmp_path: Path) -> None:
    shard = [Doc("rio", 1), Doc("ana", 1), Doc("rio", 2), Doc("eva", 2), Doc("rio", 3)]
    lake = Lake(tmp_path / "lake")
    corpus = {"a@1": [[*shard, Doc("zé", 1), Doc("zé", 3)], [Doc("ana", 2)], [Doc("rio", 3)]]}
    manifest = cluster(lake, write_signed(tmp_path, corpus))
    table = pq.read_table(*lake.paths(manifest, "clusters.parquet"))
    names = table.filter(table["kept"])["cluster"].to_pylist()
    assert names == ["ana@1", "rio@1", "ana@1+"]
