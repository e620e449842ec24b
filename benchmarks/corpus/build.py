"""Build a corpus of JSON Lines through the road, in a process of its own, and say what it took.

    TAGARELA_WORKERS=2 python -m benchmarks.corpus.build FOLDER

``FOLDER/raw/SNAPSHOT/*.jsonl`` is what there is to read; the lake grows beside it. Stations are
asked for in the order of the road and made where they are not fresh, as ``automation/drive.py``
does, without Dagster. A tiny corpus loads the kernels' machine code, and starts the server of the
worker processes, before the clock starts (``start`` says what that took). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rows import peak_megabytes
from tagarela_dagster.corpus.engines import run
from tagarela_dagster.corpus.sources.pin import pin_snapshot
from tagarela_dagster.evals.benchmarks import pin_benchmarks
from tagarela_dagster.recipe.model import Recipe
from tagarela_dagster.resources.home import WORKERS_VARIABLE, Home
from tagarela_dagster.resources.making import making
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import ROAD

SOURCE = "web"
LAST = "clean"
SHARD_MEGABYTES = 16
TINY = 80
"""Paragraphs of the corpus that warms up."""
ROOT = Path(__file__).parents[2]


def open_road(folder: Path) -> Road:
    """The road of the folder's snapshots, as it is now."""
    recipe = Recipe.model_validate(
        {
            "name": "bench",
            "sources": {
                SOURCE: {
                    "reader": "files",
                    "format": "jsonl",
                    "path": str(folder / "raw"),
                    "mapping": {"id": "id"},
                    "license": "CC0-1.0",
                }
            },
            "corpus": {"shard_megabytes": SHARD_MEGABYTES},
        }
    )
    return Road(recipe, Home(folder / "home" / "bench").create())


def write_snapshot(folder: Path, snapshot: str, texts: Iterable[str], file_bytes: int) -> int:
    """Write texts as JSON Lines, a new file after ``file_bytes``; bytes of text."""
    place = folder / "raw" / snapshot
    place.mkdir(parents=True)
    size = total = number = 0
    file = (place / "00000.jsonl").open("w", encoding="utf-8")
    for index, text in enumerate(texts):
        if size >= file_bytes:
            file.close()
            number, size = number + 1, 0
            file = (place / f"{number:05d}.jsonl").open("w", encoding="utf-8")
        row = {"id": f"{snapshot}-{index}", "text": text}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        taken = len(text.encode())
        size, total = size + taken, total + taken
    file.close()
    return total


def steps(road: Road) -> Iterator[tuple[str, str | None]]:
    """Every (asset, partition) up to ``clean``, in the order of the road."""
    yield from ((SOURCE, key) for key in road.partitions)
    for name in list(road.stations)[: list(road.stations).index(LAST) + 1]:
        keys = road.partitions if ROAD[name].scope == "snapshot" else [None]
        yield from ((name, key) for key in keys)


def drive(road: Road) -> dict[str, dict[str, Any]]:
    """Make what is not fresh: name -> seconds on the clock, CPU seconds of all processes, files
    that are new."""
    made = {}
    for asset, key in steps(road):
        if road.state(asset, key) == "fresh":
            continue
        wall, cpu = time.perf_counter(), cpu_seconds()
        before = _files(road, asset, key)
        with road.writing(asset, key) as writer:
            if asset == SOURCE:
                pin_snapshot(writer, road.files[key or ""], "CC0-1.0")
            elif asset == "benchmarks":
                pin_benchmarks(writer, road.recipe.evals.last_word)
            else:
                making(road, asset, key)(writer)
        now = _files(road, asset, key)
        made[f"{asset}[{key}]" if key else asset] = {
            "seconds": time.perf_counter() - wall,
            "cpu": cpu_seconds() - cpu,
            "files": len(now),
            "written": sum(count for count in (now - before).values()),
        }
    return made


def _files(road: Road, asset: str, key: str | None) -> Counter[tuple[str, str]]:
    manifest = road.lake.manifest(asset, key)
    shards = manifest.shards if manifest else ()
    return Counter((s.path, s.sha256) for s in shards if s.path.endswith((".parquet", ".index")))


def cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def hashes(road: Road) -> dict[str, str]:
    """Manifest hash of everything that is published up to ``clean``."""
    return {
        f"{asset}[{key}]": manifest.hash
        for asset, key in steps(road)
        if (manifest := road.lake.manifest(asset, key))
    }


def warm_up() -> float:
    """Take a tiny corpus down the road, through worker processes where there are any; seconds."""
    from benchmarks.text import real_paragraphs

    start, least = time.perf_counter(), run.PARALLEL_BYTES
    run.PARALLEL_BYTES = 0
    with tempfile.TemporaryDirectory() as name:
        write_snapshot(Path(name), "tiny", real_paragraphs()[:TINY], file_bytes=2_000)
        drive(open_road(Path(name)))
    run.PARALLEL_BYTES = least
    return time.perf_counter() - start


def build(folder: Path) -> dict[str, Any]:
    """Drive the road of a folder and describe the run."""
    started = warm_up()
    start, cpu = time.perf_counter(), cpu_seconds()
    road = open_road(folder)
    made = drive(road)
    result = {
        "seconds": time.perf_counter() - start,
        "cpu": cpu_seconds() - cpu,
        "start": started,
        "peak_megabytes": peak_megabytes(),
        "made": made,
        "hashes": hashes(road),
        "kept": sum(m.counts["ledger"]["documents_kept"] for m in road.published(LAST)),
    }
    start = time.perf_counter()
    again = open_road(folder)
    states = Counter(again.state(asset, key) for asset, key in steps(again))
    result["no_news"] = time.perf_counter() - start
    assert set(states) == {"fresh"}, states
    return result


def run_build(folder: Path, workers: int = 1, cores: int = 1) -> dict[str, Any]:
    """:func:`build` in a fresh process that may use so many cores."""
    allowed = sorted(os.sched_getaffinity(0))[-cores:]
    command = [sys.executable, "-m", "benchmarks.corpus.build", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, WORKERS_VARIABLE: str(workers)},
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=partial(os.sched_setaffinity, 0, allowed),
    )
    return json.loads(done.stdout)


def main() -> None:
    """Build and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(json.dumps(build(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
