"""Decontamination: documents that contain a benchmark item are dropped.

Text and items are compared as words: lower case, punctuation and diacritics removed (copies lose
them), numbers kept. A document matches an item when it has a run of ``n_grams`` of its words, or
the whole of an item that is shorter; items under ``min_item_words`` are not searched for. Runs are
found by a rolling 64-bit hash over words and then compared word by word, so a match is never a
collision.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.stage import Kernel, Outcome
from tagarela_dagster.recipe.decontamination import Decontamination

REASON_PREFIX = "benchmark_"
META_KEY = "contamination"
"""Field of a dropped document's ``meta`` with its matches."""
MAX_MATCHES = 20
"""Matches listed in a document's ``meta``."""
MAX_WORDS_CACHED = 300_000

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_FILTER_BITS = np.uint64((1 << 20) - 1)


class BenchmarkError(ValueError):
    """A benchmark file cannot be searched for."""


@dataclass(frozen=True)
class BenchmarkItem:
    """One item of a benchmark: its text as a document would contain it."""

    task: str
    id: str
    text: str


@dataclass(frozen=True)
class Match:
    """A run of words that a document shares with an item: the longest one."""

    task: str
    item: str
    words: str


def read_benchmark_items(paths: Iterable[Path]) -> Iterator[BenchmarkItem]:
    """Items of JSONL files named after their task: ``sentence`` and ``last_word``, or ``text``.

    Raises:
        BenchmarkError: a line has neither.
    """
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if "text" in row:
                    text = row["text"]
                elif "sentence" in row and "last_word" in row:
                    text = f"{row['sentence']} {row['last_word']}"
                else:
                    raise BenchmarkError(
                        f"{path.name}, line {number}: an item needs `text`, or `sentence` and "
                        f"`last_word`; it has {', '.join(row)}"
                    )
                yield BenchmarkItem(path.stem, str(row.get("id", f"line {number}")), text)


class ItemIndex:
    """Runs of words of benchmark items, searched in batches of texts.

    Attributes:
        skipped: task -> items that are too short to be searched for.
    """

    def __init__(self, items: Iterable[BenchmarkItem], section: Decontamination) -> None:
        self.skipped: Counter[str] = Counter()
        self._hashes = _WordHashes()
        # length of a run -> its hash -> the runs with this hash and the first item of each.
        self._runs: dict[int, dict[int, dict[tuple[str, ...], BenchmarkItem]]] = {}
        for item in sorted(items, key=lambda i: (i.task, i.id)):
            words = normalize(item.text, numbers=False).split()
            if len(words) < section.min_item_words:
                self.skipped[item.task] += 1
                continue
            length = min(section.n_grams, len(words))
            runs = self._runs.setdefault(length, {})
            hashes = rolling_hashes(self._hashes.of(words), length).tolist()
            for start, value in enumerate(hashes):
                run = tuple(words[start : start + length])
                runs.setdefault(value, {}).setdefault(run, item)
        self._sorted = {
            length: np.sort(np.fromiter(runs, np.uint64)) for length, runs in self._runs.items()
        }
        self._filters = {length: _filter(values) for length, values in self._sorted.items()}

    def search(self, texts: Sequence[str]) -> list[list[Match]]:
        """Matches of each text, in the order in which they begin; one for each item."""
        words = [normalize(text, numbers=False).split() for text in texts]
        ends = np.cumsum([len(of_text) for of_text in words])
        flat = [word for of_text in words for word in of_text]
        hashes = self._hashes.of(flat)
        found: list[dict[BenchmarkItem, list[tuple[int, int]]]] = [{} for _ in texts]
        for length in sorted(self._runs):
            for start in self._candidates(hashes, length):
                document = int(np.searchsorted(ends, start, side="right"))
                if start + length > ends[document]:
                    continue  # runs over into the next text
                run = tuple(flat[start : start + length])
                value = int(rolling_hashes(hashes[start : start + length], length)[0])
                item = self._runs[length][value].get(run)
                if item is not None:
                    found[document].setdefault(item, []).append((start, length))
        return [
            [
                Match(item.task, item.id, " ".join(flat[slice(*_longest(runs))]))
                for item, runs in sorted(matches.items(), key=lambda pair: pair[1][0])
            ]
            for matches in found
        ]

    def _candidates(self, hashes: NDArray[np.uint64], length: int) -> list[int]:
        """Where runs begin whose hash is an item's."""
        values = rolling_hashes(hashes, length)
        maybe = np.flatnonzero(self._filters[length][values & _FILTER_BITS])
        known = self._sorted[length]
        places = np.searchsorted(known, values[maybe])
        hit = known[np.minimum(places, len(known) - 1)] == values[maybe]
        return [int(start) for start in maybe[hit]]


def make_kernel(item_files: Sequence[Path], section: Decontamination) -> Kernel:
    """Kernel that drops documents with an item: reason ``benchmark_TASK``, of the first match.

    Args:
        item_files: ``items/TASK.jsonl`` of ``benchmarks``.
    """
    index = ItemIndex(read_benchmark_items(item_files) if section.enabled else (), section)
    place = DOCUMENT_SCHEMA.get_field_index("meta")

    def kernel(batch: pa.RecordBatch) -> Outcome:
        found = index.search(batch.column("text").to_pylist())
        reasons = [reason(matches[0].task) if matches else None for matches in found]
        metas = [
            _with_matches(meta, matches) if matches else meta
            for meta, matches in zip(batch.column("meta").to_pylist(), found, strict=True)
        ]
        column = pa.array(metas, pa.string())
        documents = batch.set_column(place, DOCUMENT_SCHEMA.field(place), column)
        return Outcome(documents, pa.array(reasons, pa.string()), {})

    return kernel


def reason(task: str) -> str:
    """Drop reason of a task."""
    return REASON_PREFIX + "_".join(re.findall("[a-z0-9]+", normalize(task, numbers=False)))


def contamination_report(dropped: Iterable[Path]) -> Iterator[dict[str, str]]:
    """A row for every match in shards of dropped documents: document, task, item, words."""
    for path in dropped:
        for batch in read_batches(path, ["id", "meta", "reason"]):
            ours = batch.filter(pc.starts_with(batch.column("reason"), REASON_PREFIX))
            for row in ours.to_pylist():
                for match in json.loads(row["meta"])[META_KEY]:
                    yield {"document": row["id"], **match}


def rolling_hashes(words: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Hash of every run of ``length`` words: the sum of ``word[i + j] * BASE**j`` modulo 2**64.

    Args:
        words: (words,) hash of each.

    Returns:
        (words - length + 1,), or none when there are fewer words.
    """
    count = len(words) - length + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words * _powers(_BASE, len(words)))])
    return np.asarray((sums[length:] - sums[:count]) * _powers(_INVERSE, count))


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.asarray(np.cumprod(powers))


def _filter(values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which low bits a hash of the index has: most runs of a text are told apart by them."""
    table = np.zeros(int(_FILTER_BITS) + 1, np.bool_)
    table[values & _FILTER_BITS] = True
    return table


def _longest(runs: list[tuple[int, int]]) -> tuple[int, int]:
    """First word and the word after the last of the longest stretch that the runs cover."""
    stretches: list[tuple[int, int]] = []
    for start, length in runs:
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], start + length))
        else:
            stretches.append((start, start + length))
    return max(stretches, key=lambda s: s[1] - s[0])


def _with_matches(meta: str, matches: Sequence[Match]) -> str:
    listed = [{"task": m.task, "item": m.item, "words": m.words} for m in matches[:MAX_MATCHES]]
    return json.dumps({**json.loads(meta), META_KEY: listed}, ensure_ascii=False, sort_keys=True)


class _WordHashes(dict[str, int]):
    """XXH64 of words, remembered."""

    def of(self, words: Sequence[str]) -> NDArray[np.uint64]:
        if len(self) > MAX_WORDS_CACHED:
            self.clear()
        return np.fromiter(map(self.__getitem__, words), np.uint64, len(words))

    def __missing__(self, word: str) -> int:
        value = self[word] = xxh64_intdigest(word)
        return value
