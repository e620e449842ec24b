"""Whole builds: the price of news, of none, of two cores, and of ten times the text.

A corpus of one source is built from JSON Lines to clean shards, each build in a process of its own
(benchmarks/corpus/build.py). Builds that are compared are made twice and the better one counts,
because anything else that the machine does only makes them slower; both are in the details.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.corpus.build import run_build, write_snapshot
from benchmarks.rows import Row
from benchmarks.text import documents, real_paragraphs

FILE_BYTES = 8_000_000
SMALL, QUICK_SMALL = 30, 3
"""Megabytes of the smaller corpus; the larger one has ten times as much."""
SNAPSHOTS = 60


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    small = QUICK_SMALL if quick else SMALL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stream = documents()
        size = {
            "small": write_snapshot(folder / "small", "s1", _some(documents(), small), FILE_BYTES),
            "large": write_snapshot(folder / "large", "s1", _some(stream, 10 * small), FILE_BYTES),
        }
        little = _twice(folder / "small")
        one = _twice(folder / "large")
        two = _twice(folder / "large", workers=2, keep=True)
        yield from ten_times(size, little, one)
        yield two_cores(size["large"], one, two)
        # The lake is now that of the full build; what comes next in the stream is the news.
        news = write_snapshot(folder / "large", "s2", _some(stream, small / 10), FILE_BYTES)
        yield from refresh(folder / "large", size["large"], news, min(one, key=_seconds))
        yield no_news(size["small"], little)
        yield no_news(size["large"], one)
        count = 10 if quick else SNAPSHOTS
        paragraphs = real_paragraphs()
        for number in range(count):
            texts = paragraphs[number * 20 : number * 20 + 20]
            write_snapshot(folder / "many", f"s{number:03d}", texts, FILE_BYTES)
        many = run_build(folder / "many")
        yield no_news_row(f"{count} snapshots", many["no_news"])


def ten_times(
    size: dict[str, int], little: list[dict[str, Any]], much: list[dict[str, Any]]
) -> Iterator[Row]:
    """Throughput and memory at both sizes."""
    rates = {
        name: max(size[name] / 1e6 / run["cpu"] for run in runs)
        for name, runs in (("small", little), ("large", much))
    }
    fastest = min(much, key=lambda run: run["cpu"])
    yield Row(
        "ten_times_the_text",
        rates["large"],
        "MB/s",
        f"the same at {size['small'] / 1e6:.0f} MB",
        rates["small"],
        rates["large"] / rates["small"],
        target=0.9,
        note=f"CPU of documents to clean, one worker, {size['large'] / 1e6:.0f} MB",
        details={key: round(part["cpu"], 2) for key, part in fastest["made"].items()},
    )
    for name, runs in (("small", little), ("large", much)):
        yield Row(
            f"peak memory of a worker, {size[name] / 1e6:.0f} MB of text",
            max(run["peak_megabytes"] for run in runs),
            "MB",
            target=2_147,
            judged="value",
            at_least=False,
        )


def two_cores(size: int, one: list[dict[str, Any]], two: list[dict[str, Any]]) -> Row:
    """The clock with two workers against one, and whether every manifest is the same."""
    equal = [run["hashes"] == one[0]["hashes"] for run in (*one, *two)]
    return Row(
        "two_cores",
        size / 1e6 / min(map(_seconds, two)),
        "MB/s",
        "one core",
        size / 1e6 / min(map(_seconds, one)),
        min(map(_seconds, one)) / min(map(_seconds, two)),
        agreement=sum(equal) / len(equal),
        target=1.8,
        note="clock; agreement: builds whose manifests all have the same hash",
        details={
            "one": [round(run["seconds"], 2) for run in one],
            "two": [round(run["seconds"], 2) for run in two],
            "by station": {
                key: [round(run[0]["made"][key]["seconds"], 2) for run in (one, two)]
                for key in one[0]["made"]
            },
        },
    )


def refresh(folder: Path, size: int, news: int, full: dict[str, Any]) -> Iterator[Row]:
    """A snapshot with 1% more text."""
    run = run_build(folder)
    written = {
        key: f"{part['written']} of {part['files']} files" for key, part in run["made"].items()
    }
    for name, seconds, whole in (
        ("CPU", run["cpu"], full["cpu"]),
        ("clock", run["seconds"], full["seconds"]),
        ("clock and start", *(r["seconds"] + r["start"] for r in (run, full))),
    ):
        yield Row(
            f"refresh_1_percent, {name}",
            seconds,
            "s",
            f"full build of {size / 1e6:.0f} MB",
            whole,
            seconds / whole,
            target=0.03,
            at_least=False,
            note=f"{news / size:.2%} more text, in a snapshot of its own",
            details={"written": written} if name == "CPU" else {},
        )


def no_news(size: int, runs: list[dict[str, Any]]) -> Row:
    """How long it takes to know that a corpus of one snapshot is fresh."""
    return no_news_row(f"{size / 1e6:.0f} MB of text", max(run["no_news"] for run in runs))


def no_news_row(corpus: str, seconds: float) -> Row:
    """The row of a corpus."""
    return Row(
        f"refresh_no_news, {corpus}",
        seconds,
        "s",
        target=10,
        judged="value",
        at_least=False,
        note="clock; the state of every partition, with its files, shards and manifests",
    )


def _twice(folder: Path, workers: int = 1, keep: bool = False) -> list[dict[str, Any]]:
    """Two builds from nothing; ``keep`` leaves the lake of the second."""
    runs = []
    for _ in range(2):
        shutil.rmtree(folder / "home", ignore_errors=True)
        runs.append(run_build(folder, workers, cores=workers))
    if not keep:
        shutil.rmtree(folder / "home")
    return runs


def _some(stream: Iterator[str], megabytes: float) -> Iterator[str]:
    size = 0
    while size < megabytes * 1e6:
        text = next(stream)
        size += len(text.encode())
        yield text


def _seconds(run: dict[str, Any]) -> float:
    return float(run["seconds"])
