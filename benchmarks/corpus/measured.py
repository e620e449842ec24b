"""The whole ``measured`` stage on one core: shards read, every step of the recipe, shards written.

Steps are timed one by one over the batches of a document shard, the lexicon being empty at first
(``cold``) and as an earlier run left it (``warm``); ``stage`` is the stage itself, with its account
and its Parquet files. ``filtered`` and ``clean`` (without any duplicate or benchmark
item to drop) are the stages that follow.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.corpus.lakes import copy_kernel, write_partition
from benchmarks.corpus.texts import megabytes, record_batches, spread
from benchmarks.rows import Row, timed
from tagarela_dagster.corpus.cleaning import clean_partition
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, MEASURED_SCHEMA
from tagarela_dagster.corpus.filtering.decide import decide_partition
from tagarela_dagster.corpus.filtering.measure import Measure, measure_partition
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.provenance.alignment import ShardInput, shard_inputs
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.corpus import Corpus

KEY = "web@1"


def by_step(shards: list[Path], lexicon: Path, out: Path) -> dict[str, float]:
    """CPU seconds of reading, each step, putting the batch together, and writing."""
    seconds: dict[str, float] = defaultdict(float)
    measure = Measure(Corpus(), lexicon)

    def clock(name: str, start: float) -> float:
        now = time.process_time()
        seconds[name] += now - start
        return now

    with ShardWriter(out, "00000", MEASURED_SCHEMA) as writer:
        for path in shards:
            batches = read_batches(path)
            while True:
                now = time.process_time()
                batch = next(batches, None)
                now = clock("read", now)
                if batch is None:
                    break
                work = Work(batch)
                for step in measure.steps:
                    step(work)
                    now = clock(type(step).__name__, now)
                measured = work.measured()
                now = clock("batch", now)
                writer.write(measured)
                clock("write", now)
        now = time.process_time()
    now = clock("write", now)
    measure.close()
    clock("close", now)
    return seconds


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    texts = spread(4 if quick else 24)
    size = megabytes(texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = Lake(folder / "lake")
        documents = write_partition(
            lake, "documents", KEY, {"kept/": (DOCUMENT_SCHEMA, record_batches(texts))}
        )
        shards = lake.paths(documents, "kept/")
        by_step(shards, folder / "none", folder / "warm-up")  # compiled, or loaded
        for turn in ("cold", "warm"):
            seconds = by_step(shards, folder / "lexicon", folder / turn)
            total = sum(seconds.values())
            yield Row(
                f"measured, all steps, {turn}",
                size / total,
                "MB/s",
                note="CPU, by step below" if turn == "warm" else "CPU",
                details={step: round(took, 3) for step, took in seconds.items()},
            )
        for step, took in sorted(seconds.items(), key=lambda item: -item[1]):
            share = f"{took / total:.0%} of the time"
            yield Row(f"measured: {step}", size / max(took, 1e-6), "MB/s", note=share)
        yield from stages(lake, folder / "lexicon", size)


def stages(lake: Lake, lexicon: Path, size: float) -> Iterator[Row]:
    """The stages themselves, one worker."""

    def run(asset: str, work: Callable[..., Any]) -> Row:
        with lake.write(asset, KEY, code_version="b", section={}, inputs={}) as writer:
            wall = time.perf_counter()
            _, took = timed(partial(work, writer))
            wall = time.perf_counter() - wall
        note = f"CPU, the stage itself; {size / wall:.1f} MB/s on the clock"
        return Row(f"{asset}, the stage", size / took, "MB/s", note=note)

    def beside(*inputs: tuple[str, str]) -> list[ShardInput]:
        return shard_inputs(lake, *((lake.require(asset, KEY), p) for asset, p in inputs))

    corpus = Corpus()
    documents = beside(("documents", "kept/"))
    work = partial(measure_partition, shards=documents, corpus=corpus, lexicon=lexicon)
    yield run("measured", work)
    measured = beside(("measured", "kept/"))
    yield run("filtered", partial(decide_partition, shards=measured, corpus=corpus))
    decided = beside(("measured", "kept/"), ("filtered", "decisions/"))
    yield run("clean", partial(clean_partition, shards=decided, make_kernel=copy_kernel))
