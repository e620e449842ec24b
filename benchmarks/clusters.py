"""Clusters of synthetic signatures: documents a second and memory, in full and with 1% more.

    .venv/bin/python benchmarks/clusters.py [--documents 2000000] [--memory-megabytes 1024]

Signatures are drawn, not computed: a fifth of the documents repeat an earlier one (half of them
its text, the others one to three of its bands), every third document is dropped by the filters.
The full build, the build with a partition of 1% more, and that build again without any earlier
index are timed (wall and CPU seconds, peak memory of the process); the last two must be equal byte
for byte.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.signatures import band_name, signature_schema
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup

SHARD_DOCUMENTS = 20_000
BANDS = Dedup().minhash.bands


def write_partition(
    folder: Path, name: str, start: int, documents: int, kept_share: float
) -> list[ShardInput]:
    """Signature and decision shards of documents ``start`` and following."""
    shards = []
    for number, first in enumerate(range(start, start + documents, SHARD_DOCUMENTS)):
        rows = min(SHARD_DOCUMENTS, start + documents - first)
        here = np.arange(first, first + rows, dtype=np.uint64)
        rng = np.random.default_rng(first)
        repeats = (rng.random(rows) < 0.2) & (here > 0)
        original = np.where(repeats, (rng.random(rows) * here).astype(np.uint64), here)
        same = rng.random(rows) < 0.5
        shared = rng.integers(1, 4, rows)
        exact = _hash(np.where(same, original, here), 99)
        columns = {
            "id": pa.array([f"arquivo_pt:{_hash(n, 7):020x}" for n in here]),
            "exact": _wide(exact, _hash(exact, 98)),
            "normalized": _wide(exact, exact),
            "words": pa.array(np.full(rows, 300, np.int32)),
            "url_key": pa.array(_hash(here, 97)),
            "date": pa.array(rng.integers(10_000, 20_000, rows).astype(np.int32), pa.date32()),
            "quality": pa.array(rng.random(rows).astype(np.float32)),
        }
        for band in range(BANDS):
            of = np.where(same | ((band - original.astype(int)) % BANDS < shared), original, here)
            columns[band_name(band)] = pa.array(_hash(of, band))
        paths = tuple(folder / k / name / f"{number:05d}.parquet" for k in ("signed", "decided"))
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table(columns)
        metadata = signature_schema(Dedup().minhash).metadata
        pq.write_table(table.replace_schema_metadata(metadata), paths[0], compression="zstd")
        reasons = pa.array(["quality"] * rows, mask=rng.random(rows) < kept_share)
        pq.write_table(pa.table({"id": columns["id"], "reason": reasons}), paths[1])
        shards.append(ShardInput(paths[0].stem, paths, tuple(map(hash_file, paths))))
    return shards


def _hash(values: np.ndarray, salt: int) -> np.ndarray:
    """SplitMix64."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(values, np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(salt + 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))


def _wide(low: np.ndarray, high: np.ndarray) -> pa.Array:
    data = np.stack([low, high], axis=1).tobytes()
    return pa.Array.from_buffers(pa.binary(16), len(low), [None, pa.py_buffer(data)])


def build(
    lake: Lake, shards: dict[str, list[ShardInput]], memory: float
) -> tuple[Manifest, dict[str, float]]:
    """Clusters of the partitions, timed."""
    hashes = {p: "".join(s.hashes[0] for s in found)[:2000] for p, found in shards.items()}
    arguments = {"code_version": "c", "section": {}, "inputs": hashes}
    wall, cpu = time.perf_counter(), time.process_time()
    with lake.write("clusters", **arguments) as writer:
        manifest = cluster_partitions(
            writer, shards, Dedup(), {"web": 1}, memory_megabytes=memory, told=lambda *_: None
        )
    return manifest, {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000_000)
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--kept", type=float, default=2 / 3)
    parser.add_argument("--memory-megabytes", type=float, default=1_024)
    arguments = parser.parse_args()
    total, parts = arguments.documents, arguments.partitions
    folder = Path(tempfile.mkdtemp())
    try:
        tiny = {"web@0": write_partition(folder / "tiny", "web@0", 0, 1_000, 1.0)}
        build(Lake(folder / "warm"), tiny, 1)  # the kernels are compiled
        shards = {}
        for number in range(parts):
            name = f"web@{number:03d}"
            share = total // parts
            shards[name] = write_partition(folder, name, number * share, share, arguments.kept)
        lake = Lake(folder / "lake")
        full, results = build(lake, shards, arguments.memory_megabytes)
        report = {"documents": total, "counts": full.counts, "full": results}
        shards["web@new"] = write_partition(folder, "web@new", total, total // 100, arguments.kept)
        more, report["one_percent_more"] = build(lake, shards, arguments.memory_megabytes)
        fresh, report["from_scratch"] = build(
            Lake(folder / "other"), shards, arguments.memory_megabytes
        )
        assert more.hash == fresh.hash, "an index that was taken over changed the result"
        report["bytes"] = sum(shard.bytes for shard in full.shards)
        report["documents_per_second"] = total / report["full"]["seconds"]
        report["counts"].pop("largest")
        print(json.dumps(report, indent=1))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
