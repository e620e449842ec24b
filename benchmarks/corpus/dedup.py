"""Deduplication end to end: signatures, clusters, and the kept text written to Parquet.

All read the same text from one Parquet shard and write what they keep as Parquet or in their own
format, on one core, with 14 bands of 8 hashes of word 5-grams. datatrove runs its four stages
(signatures, buckets, clusters, filter) as its documentation says; text-dedup its command, with
xxh3 and without the time it takes to start; rensa its RMinHashDeduplicator over 5-grams. How many
documents each drops is in the details: rensa and text-dedup have words and hashes of their own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from loguru import logger

from benchmarks.corpus.lakes import copy_kernel, keep_all, write_partition
from benchmarks.corpus.texts import first, megabytes, record_batches
from benchmarks.rows import Row, rate, timed
from tagarela_dagster.corpus.cleaning import clean_partition
from tagarela_dagster.corpus.dedup.clusters import cluster_partitions
from tagarela_dagster.corpus.dedup.deduped import dedup_partition
from tagarela_dagster.corpus.dedup.signatures import sign_partition
from tagarela_dagster.corpus.document import MEASURED_SCHEMA
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.stage import DECISION_SCHEMA
from tagarela_dagster.provenance.alignment import ShardInput, shard_inputs
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.dedup import Dedup

KEY = "web@1"
SECTION = Dedup()
BANDS, ROWS = SECTION.minhash.bands, SECTION.minhash.rows
MIN_WORDS = SECTION.minhash.n_grams


def lay(folder: Path, texts: list[str]) -> Lake:
    """A lake with the texts as measured documents that the filters keep."""
    lake = Lake(folder)
    batches = [Work(batch).measured() for batch in record_batches(texts)]
    write_partition(lake, "measured", KEY, {"kept/": (MEASURED_SCHEMA, batches)})
    decided = (keep_all(batch.column("id")) for batch in batches)
    write_partition(lake, "filtered", KEY, {"decisions/": (DECISION_SCHEMA, decided)})
    return lake


def ours(lake: Lake) -> dict[str, float]:
    """CPU seconds of each stage from measured text to kept text."""
    seconds: dict[str, float] = {}

    def beside(*inputs: tuple[str, str]) -> list[ShardInput]:
        return shard_inputs(lake, *((lake.require(asset, KEY), p) for asset, p in inputs))

    def run(asset: str, work: Callable[..., Any], key: str | None = KEY) -> None:
        with lake.write(asset, key, code_version="b", section={}, inputs={}) as writer:
            _, seconds[asset] = timed(partial(work, writer))

    measured = beside(("measured", "kept/"))
    run("signatures", partial(sign_partition, shards=measured, section=SECTION.minhash))
    signed = {KEY: beside(("signatures", "signatures/"), ("filtered", "decisions/"))}
    clusters = partial(cluster_partitions, shards=signed, section=SECTION, ranks={"web": 1})
    run("clusters", partial(clusters, told=lambda *_: None), key=None)
    drops = lake.paths(lake.require("clusters"), f"keep/{KEY}.parquet")
    decided = beside(("filtered", "decisions/"))
    run("deduped", partial(dedup_partition, shards=decided, keep_list=drops))
    beside_text = beside(("measured", "kept/"), ("deduped", "decisions/"))
    run("clean", partial(clean_partition, shards=beside_text, make_kernel=copy_kernel))
    return seconds


def groups(lake: Lake, texts: list[str]) -> dict[str, str]:
    """Text -> name of its cluster; a text without one is its own."""
    table = pq.read_table(lake.paths(lake.require("clusters"), "clusters.parquet")[0])
    cluster_of = dict(zip(*(table[name].to_pylist() for name in ("id", "cluster")), strict=True))
    path = lake.paths(lake.require("measured", KEY), "kept/")[0]
    ids = [key for b in read_batches(path, ["id"]) for key in b.column("id").to_pylist()]
    return {text: cluster_of.get(key, text) for key, text in zip(ids, texts, strict=True)}


def by_datatrove(source: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of datatrove's four stages; the kept text is in ``folder/kept``."""
    reader = partial(ParquetReader, str(source.parent), glob_pattern=source.name, text_key="text")
    signatures, buckets, removed = (str(folder / n) for n in ("signatures", "buckets", "removed"))
    stages = {
        "signatures": (1, [reader(), MinhashDedupSignature(signatures, language="por_Latn")]),
        "buckets": (BANDS, [MinhashDedupBuckets(signatures, buckets)]),
        "cluster": (1, [MinhashDedupCluster(buckets, removed)]),
        "filter": (
            1,
            [reader(), MinhashDedupFilter(removed), ParquetWriter(str(folder / "kept"))],
        ),
    }
    return {
        name: timed(
            LocalPipelineExecutor(steps, tasks, 1, logging_dir=str(folder / "logs" / name)).run
        )[1]
        for name, (tasks, steps) in stages.items()
    }


def by_text_dedup(source: Path, folder: Path) -> float:
    """CPU seconds of text-dedup's command beyond its start; output in ``folder/kept``."""
    command = [sys.executable, "-m", "text_dedup.minhash"]
    options: dict[str, Any] = {
        "path": "parquet", "data_files": source, "split": "train", "column": "text",
        "cache_dir": folder / "cache", "output": folder / "kept", "num_perm": BANDS * ROWS,
        "b": BANDS, "r": ROWS, "hash_func": "xxh3", "num_proc": 1,
    }  # fmt: skip
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    start = _child_seconds([*command, "--help"], folder)
    return _child_seconds([*command, *given], folder) - start


def _child_seconds(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    paths = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HOME": str(folder / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_rensa(source: Path, folder: Path) -> float:
    """CPU seconds of reading, rensa's deduplicator over 5-grams, and writing."""
    from rensa import RMinHashDeduplicator

    def shingles(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[at : at + 5]) for at in range(max(1, len(words) - 4))]

    def run() -> None:
        dedup = RMinHashDeduplicator(
            threshold=(1 / BANDS) ** (1 / ROWS), num_perm=BANDS * ROWS, use_lsh=True
        )
        with pq.ParquetFile(source) as file:
            (folder / "kept").mkdir()
            with pq.ParquetWriter(folder / "kept" / "0.parquet", file.schema_arrow) as out:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    pairs = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
                    kept = dedup.add_pairs((key, shingles(text)) for key, text in pairs)
                    out.write_table(table.filter(pa.array(kept)))

    return timed(run)[1]


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    logger.remove()  # datatrove logs every stage
    texts = [text for text in first(2 if quick else 10) if len(text.split()) >= MIN_WORDS]
    size = megabytes(texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours(lay(folder / "warm-up", texts[:20]))
        lake = lay(folder / "lake", texts)
        seconds = ours(lake)
        group_of = groups(lake, texts)
        written = lake.require("clean", KEY).counts["ledger"]["documents_kept"]
        source = folder / "source" / "texts.parquet"
        source.parent.mkdir()
        ids = [str(number) for number in range(len(texts))]
        pq.write_table(pa.table({"id": ids, "text": texts}), source, row_group_size=1_000)
        dropped = {"tagarela": len(texts) - written}
        rate_of_ours = size / sum(seconds.values())

        def compare(peer: str, spent: float, at: Path, **more: Any) -> Row:
            theirs = [
                text for path in sorted(at.rglob(more.pop("pattern"))) for text in _texts(path)
            ]
            dropped[peer] = len(texts) - len(theirs)
            of_group = Counter(group_of[text] for text in theirs)
            wanted = set(group_of.values())
            equal = sum(of_group[group] == 1 for group in wanted) / len(wanted)
            details = {"documents": len(texts), "dropped": dict(dropped), **more.pop("details", {})}
            return rate(
                "dedup_end_to_end", rate_of_ours, peer, size / spent,
                agreement=equal, details=details, **more,
            )  # fmt: skip

        theirs = by_datatrove(source, folder / "datatrove")
        stages = {"ours": {k: round(v, 3) for k, v in seconds.items()}}
        stages["datatrove"] = {k: round(v, 2) for k, v in theirs.items()}
        note = "CPU; agreement: clusters and single texts of which the peer keeps one"
        yield compare(
            "datatrove 0.10.1", sum(theirs.values()), folder / "datatrove" / "kept",
            pattern="*.parquet", target=50, note=note, details=stages,
        )  # fmt: skip
        for package, run, pattern in (
            ("text_dedup", by_text_dedup, "*.arrow"),
            ("rensa", by_rensa, "*.parquet"),
        ):
            if importlib.util.find_spec(package) is None:
                print(f"{package} is not installed: no row against it")
                continue
            place = folder / package
            place.mkdir()
            spent = run(source, place)
            label = f"{package.replace('_', '-')} {importlib.metadata.version(package)}"
            yield compare(label, spent, place / "kept", pattern=pattern, target=1.0, note=note)


def _texts(path: Path) -> list[str]:
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
    else:
        table = pq.read_table(path, columns=["text"])
    found: list[str] = table.column("text").to_pylist()
    return found
