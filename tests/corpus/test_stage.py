from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.cleaning import clean_partition
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, DROPPED_SCHEMA
from tagarela_dagster.corpus.engines import run as executor
from tagarela_dagster.corpus.ledger import Ledger, LedgerError
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import DECISION_SCHEMA, Kernel, Outcome
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tests.corpus.rows import TEXTS, batch, write_shard

ARGUMENTS = {"code_version": "c", "section": {}, "inputs": {}}


def shout_and_drop_rain(marks: Path | None = None) -> Kernel:
    """Drop documents about rain; upper-case the others and add a mark to each."""

    def kernel(documents: pa.RecordBatch) -> Outcome:
        texts = documents.column("text")
        rain = pc.match_substring(texts, "Choveu")
        changed = pa.array([t.upper() + "!" for t in texts.to_pylist()], pa.large_string())
        column = documents.schema.get_field_index("text")
        out = documents.set_column(column, documents.schema.field("text"), changed)
        kept = pc.sum(pc.cast(pc.invert(rain), pa.int64())).as_py()
        reasons = pc.if_else(rain, "rain", pa.scalar(None, pa.string()))
        if marks:
            with (marks / "calls").open("a") as file:
                file.write("x")
            if not (marks / "ready").exists() and "ônibus" in texts.to_pylist()[0]:
                raise RuntimeError("killed")
        return Outcome(out, reasons, {"shout": -kept})

    return kernel


def run(lake: Path, shards: list[Path], workers: int = 1, marks: Path | None = None) -> Manifest:
    with Lake(lake).write("clean", "livros@2026", **ARGUMENTS) as out:
        kernel = partial(shout_and_drop_rain, marks)
        return clean_partition(out, [beside(shard) for shard in shards], kernel, workers=workers)


def beside(shard: Path, dropped: tuple[int, ...] = ()) -> ShardInput:
    """A shard with decisions that drop some of its rows."""
    rows = pq.read_metadata(shard).num_rows
    decisions = [
        {"id": f"d{i}", "bytes": 1, "reason": "rule" if i in dropped else None} for i in range(rows)
    ]
    path = shard.with_suffix(".decisions")
    pq.write_table(pa.Table.from_pylist(decisions, DECISION_SCHEMA), path)
    return ShardInput(shard.stem, (shard, path), (hash_file(shard), hash_file(path)))


def rows(lake: Lake, manifest: Manifest, prefix: str) -> list[dict]:
    batches = [b for path in lake.paths(manifest, prefix) for b in read_batches(path)]
    return [row for b in batches for row in b.to_pylist()]


def test_kept_and_dropped_documents_are_shards_and_the_account_balances(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "in.parquet")
    manifest = run(tmp_path / "lake", [shard])
    lake = Lake(tmp_path / "lake")
    kept = [
        r for p in lake.paths(manifest, "kept/") for b in read_batches(p) for r in b.to_pylist()
    ]
    dropped = [
        r for p in lake.paths(manifest, "dropped/") for b in read_batches(p) for r in b.to_pylist()
    ]
    assert [row["text"] for row in kept] == [t.upper() + "!" for t in TEXTS if "Choveu" not in t]
    assert [(row["text"], row["reason"]) for row in dropped] == [(TEXTS[2], "rain")]
    ledger = Ledger.from_json(manifest.counts["ledger"])
    ledger.check()
    assert (ledger.documents_in, ledger.documents_kept) == (4, 3)
    assert ledger.bytes_in == sum(len(t.encode()) for t in TEXTS)


def test_workers_and_folders_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "PARALLEL_BYTES", 0)
    shards = [write_shard(tmp_path / f"{i}.parquet", TEXTS[i:]) for i in range(3)]
    one = run(tmp_path / "one", shards)
    two = run(tmp_path / "two", shards, workers=2)
    assert one == two
    assert one.hash == two.hash


def test_a_run_that_was_killed_does_only_what_is_missing(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / "0.parquet"), write_shard(tmp_path / "1.parquet", TEXTS[3:])]
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "lake", shards, marks=tmp_path)
    assert Lake(tmp_path / "lake").manifest("clean", "livros@2026") is None
    calls = (tmp_path / "calls").read_text()
    (tmp_path / "ready").touch()
    run(tmp_path / "lake", shards, marks=tmp_path)
    assert len((tmp_path / "calls").read_text()) == len(calls) + 1


def test_decisions_are_applied_before_the_kernel_sees_a_text(tmp_path: Path) -> None:
    shard = beside(write_shard(tmp_path / "in.parquet"), dropped=(0, 2))
    with Lake(tmp_path / "lake").write("clean", "livros@2026", **ARGUMENTS) as out:
        manifest = clean_partition(out, [shard], shout_and_drop_rain)
    kept = rows(Lake(tmp_path / "lake"), manifest, "kept/")
    assert [row["text"] for row in kept] == [TEXTS[1].upper() + "!", TEXTS[3].upper() + "!"]
    assert manifest.counts["ledger"]["documents_in"] == 2


def test_a_shard_that_did_not_change_is_linked_and_only_the_others_run_again(
    tmp_path: Path,
) -> None:
    shards = [write_shard(tmp_path / "0.parquet"), write_shard(tmp_path / "1.parquet", TEXTS[2:])]
    (tmp_path / "ready").touch()

    def go(dropped: tuple[int, ...]) -> Manifest:
        inputs = [beside(shards[0]), beside(shards[1], dropped)]
        arguments = {**ARGUMENTS, "inputs": {"deduped": str(dropped)}}
        with Lake(tmp_path / "lake").write("clean", "livros@2026", **arguments) as out:
            return clean_partition(out, inputs, partial(shout_and_drop_rain, tmp_path))

    go(())
    before = (tmp_path / "calls").read_text()
    manifest = go((1,))
    assert len((tmp_path / "calls").read_text()) == len(before) + 1
    again = Lake(tmp_path / "other")
    with again.write("clean", "livros@2026", **{**ARGUMENTS, "inputs": {"deduped": "(1,)"}}) as out:
        inputs = [beside(shards[0]), beside(shards[1], (1,))]
        from_scratch = clean_partition(out, inputs, partial(shout_and_drop_rain, tmp_path))
    assert from_scratch == manifest


def cheat() -> Kernel:
    def kernel(documents: pa.RecordBatch) -> Outcome:
        return Outcome(documents, pa.nulls(documents.num_rows, pa.string()), {"imagined": 1})

    return kernel


def test_a_kernel_whose_account_does_not_balance_publishes_nothing(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "in.parquet")
    with (
        pytest.raises(LedgerError, match="bytes in"),
        Lake(tmp_path / "lake").write("clean", "livros@2026", **ARGUMENTS) as out,
    ):
        clean_partition(out, [beside(shard)], cheat)
    assert Lake(tmp_path / "lake").manifest("clean", "livros@2026") is None


def test_a_partition_without_shards_is_empty_and_sound(tmp_path: Path) -> None:
    manifest = run(tmp_path / "lake", [])
    assert manifest.counts["ledger"]["documents_in"] == 0


def test_shards_roll_over_and_appear_whole(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "00000", DOCUMENT_SCHEMA, shard_bytes=100) as writer:
        for text in TEXTS:
            writer.write(batch((text,)))
    assert writer.written == [("00000-000.parquet", 2), ("00000-001.parquet", 2)]
    assert not list(tmp_path.glob(".*"))


def test_a_writer_that_fails_leaves_no_shard(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        ShardWriter(tmp_path, "00000", DROPPED_SCHEMA) as writer,
    ):
        writer._pending = [batch()]
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
