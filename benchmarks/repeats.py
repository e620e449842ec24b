"""Repeated lines and exact substrings: MB/s, memory, what they find, and a refresh.

    .venv/bin/python benchmarks/repeats.py [--megabytes 60] [--mirror]

The text is benchmarks/text.py's (real text and near copies of it), or with ``--mirror`` each real
document of the mirror as it is. The full search, the search with 1% more text in a new partition,
and that search again from scratch are timed (CPU seconds; one core); the last two must be equal
byte for byte. Of each kind of repeat the share of bytes is given.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from text import ARCHIVES, MIRROR, documents

from tagarela_dagster.corpus.dedup.cuts import find_repeats
from tagarela_dagster.corpus.dedup.cuts_write import KINDS
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.dedup import Dedup, ExactSubstrings, RepeatedLines, Repeats

RULES = Dedup(
    repeats=Repeats(
        lines=RepeatedLines(enabled=True), substrings=ExactSubstrings(enabled=True, min_words=50)
    )
)


def mirror_documents() -> Iterator[str]:
    """Every text file of the mirror's archives."""
    for name in ARCHIVES:
        with tarfile.open(MIRROR / "corpus" / f"{name}.tar.xz") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith((".txt", ".md")):
                    file = archive.extractfile(member)
                    assert file is not None
                    yield file.read().decode("utf-8", "replace")


def write_shard(
    folder: Path, name: str, megabytes: float, mirror: bool = False, skip: int = 0
) -> tuple[list[ShardInput], int]:
    """One partition without its exact copies; also its bytes of text."""
    texts = mirror_documents() if mirror else itertools.islice(documents(1 + skip), skip, None)
    size, rows = 0, []
    source, _, snapshot = name.partition("@")
    for number, text in enumerate(texts):
        rows.append(Document(f"{name}-{number}", text).row(source, snapshot))
        size += len(text.encode())
        if size >= megabytes * 1e6:
            break
    table = pa.Table.from_pylist(rows, DOCUMENT_SCHEMA)
    nothing = pa.table({"id": table["id"], "reason": pa.nulls(len(table), pa.string())})
    seen: set[str] = set()
    again = [row["text"] in seen or seen.add(row["text"]) for row in rows]
    reason = pa.array(["exact_duplicate" if copy else None for copy in again], pa.string())
    contents = {
        "signed": table.select(["id"]),
        "filtered": nothing,
        "measured": table,
        "deduped": nothing.set_column(1, "reason", reason),
    }
    paths = []
    for kind, content in contents.items():
        paths.append(folder / kind / name / "00000.parquet")
        paths[-1].parent.mkdir(parents=True)
        pq.write_table(content, paths[-1], compression="zstd", row_group_size=2_000)
    return [ShardInput("00000", tuple(paths), tuple(map(hash_file, paths)))], size


def search(lake: Lake, shards: dict[str, list[ShardInput]]) -> tuple[Manifest, dict[str, float]]:
    """Repeats of the partitions, timed."""
    hashes = {name: found[0].hashes[2] for name, found in shards.items()}
    wall, cpu = time.perf_counter(), time.process_time()
    with lake.write("repeats", code_version="c", section={}, inputs=hashes) as writer:
        ranks = {name.partition("@")[0]: 1 for name in shards}
        manifest = find_repeats(writer, shards, RULES, ranks, told=lambda *_: None)
    return manifest, {
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--mirror", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        # In a process of its own, whose memory is not counted.
        with ProcessPoolExecutor(1, get_context("spawn")) as writer:
            tiny, _ = writer.submit(write_shard, folder / "tiny", "web@0", 1).result()
            args = (folder, "web@1", arguments.megabytes, arguments.mirror)
            first, size = writer.submit(write_shard, *args).result()
            args = (folder, "web@2", arguments.megabytes / 100, False, 500)
            more, _ = writer.submit(write_shard, *args).result()
        search(Lake(folder / "warm"), {"web@0": tiny})  # the kernels are compiled
        lake = Lake(folder / "lake")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        full, results = search(lake, {"web@1": first})
        report = {"megabytes": size / 1e6, "counts": full.counts, "before_megabytes": before}
        report["shares"] = {
            kind: round(full.counts[f"{kind}_bytes"] / size, 4) for kind in KINDS.values()
        }
        report["full"] = results
        report["megabytes_per_second"] = size / 1e6 / results["cpu_seconds"]
        report["index_share"] = sum(s.bytes for s in full.shards if "state/" in s.path) / size
        refreshed, report["one_percent_more"] = search(lake, {"web@1": first, "web@2": more})
        scratch, report["from_scratch"] = search(
            Lake(folder / "other"), {"web@1": first, "web@2": more}
        )
        assert refreshed.hash == scratch.hash, "an index that was taken over changed the result"
        print(json.dumps(report, indent=1))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
