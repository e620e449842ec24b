"""Sampler: sequence k of a mixture, a pure function of (mixture, k).

Resume is exact, on any number of ranks: whoever asks for sequence k gets the same tokens. Files
are memory-mapped; a sampler holds no position and little memory.

A document enters a sequence as its end-of-document token followed by its text, and positions
restart at 0 on that token. So attention that follows the positions sees, at the first word of a
document, the separator alone, as a model does that is started with it; the label of a document's
last word is the separator of the next one; and **no label has to be masked**: masking the labels
at position 0 would keep the model from ever learning to end a document.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.training.mixing.mixture import FORMAT_VERSION, PLAN_NAME
from tagarela_dagster.training.mixing.streams import COUNT_BLOCK, stream_path
from tagarela_dagster.training.mixing.survey import array_path

OPEN_FILES = 4_096
"""Memory-mapped files kept open."""
COUNTED = 1 << 20
"""Sequences counted at once."""


class SamplerError(ValueError):
    """A mixture cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Span:
    """A run of one document within a sequence.

    Attributes:
        document: number of the document within its source.
        first: first token taken; 0 is the end token that opens the document.
    """

    document: int
    epoch: int
    first: int
    count: int


@dataclass(frozen=True)
class Sequence:
    """One training sequence: ``tokens`` and ``positions`` int64 (context,).

    Attributes:
        cell: unit and phase, as the plan's ``cells`` name them.
    """

    tokens: np.ndarray
    positions: np.ndarray
    source: str
    cell: str


class Sampler:
    """Read access to a mixture. Made by ``open_sampler``."""

    def __init__(self, folder: Path, lake_root: Path) -> None:
        self.folder = folder
        self.lake_root = lake_root
        self.plan = _read_plan(folder)
        self.context: int = self.plan["context"]
        self.sequences: int = self.plan["sequences"]
        self.eos: int = self.plan["tokenizer"]["eos"]
        self.vocabulary: int = self.plan["tokenizer"]["vocabulary"]
        self.dtype = np.dtype(self.plan["tokenizer"]["dtype"]).newbyteorder("<")
        self.sources: list[str] = [source["name"] for source in self.plan["sources"]]
        self.units: list[dict[str, Any]] = self.plan["units"]
        self.cells: list[str] = [cell["cell"] for cell in self.plan["cells"]]
        self._numbers = {name: number for number, name in enumerate(self.sources)}
        self._phases = [phase["first"] for phase in self.plan["phases"]]
        self._lake = Lake(lake_root)
        self._array = lru_cache(OPEN_FILES)(self._open_array)
        self._shard = lru_cache(OPEN_FILES)(self._open_shard)
        self._order = self._open_array(folder / "order.npy")
        self._before = self._open_array(folder / "before.npy")
        # Number of the first document of each shard of each source.
        self._firsts = [
            np.cumsum([0] + [shard["documents"] for shard in source["shards"]])
            for source in self.plan["sources"]
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return open_sampler, (self.folder, self.lake_root)

    def __len__(self) -> int:
        return self.sequences

    def sequence(self, k: int) -> Sequence:
        """Sequence ``k`` (0 to ``sequences`` - 1).

        Raises:
            IndexError: no such sequence.
            SamplerError: a token shard is gone or damaged.
        """
        unit, rank = self._place(k)
        source = self.units[unit]["source"]
        tokens = np.empty(self.context, dtype=np.int64)
        positions = np.empty(self.context, dtype=np.int64)
        at = 0
        for span in self._spans(unit, rank):
            tokens[at : at + span.count] = self._read(source, span)
            positions[at : at + span.count] = np.arange(span.count)
            at += span.count
        cell = self._cell(unit, bisect_right(self._phases, k) - 1)
        return Sequence(tokens, positions, source, cell)

    def cell_of(self, k: int) -> str:
        """Cell of sequence ``k``, without reading it."""
        return self._cell(int(self._order[k]), bisect_right(self._phases, k) - 1)

    def units_of(self, first: int, count: int) -> np.ndarray:
        """Unit numbers of the ``count`` sequences from ``first`` on, (count,)."""
        return np.asarray(self._order[first : first + count])

    def consumed(self, sequences: int) -> dict[str, int]:
        """Cell -> tokens of the first ``sequences`` sequences: what a run must have consumed."""
        tokens: dict[str, int] = {}
        for number, phase in enumerate(self.plan["phases"]):
            last = min(sequences, phase["first"] + phase["sequences"])
            counts = np.zeros(len(self.units), np.int64)
            for first in range(phase["first"], last, COUNTED):
                block = self._order[first : min(first + COUNTED, last)]
                counts += np.bincount(block, minlength=len(counts))
            for unit in np.flatnonzero(counts).tolist():
                tokens[self._cell(unit, number)] = int(counts[unit]) * self.context
        return tokens

    def spans(self, k: int) -> list[Span]:
        """Documents of sequence ``k``, in order; their counts sum to ``context``."""
        return self._spans(*self._place(k))

    def _spans(self, unit: int, rank: int) -> list[Span]:
        size = self.units[unit]["tokens"]
        spans = []
        start, end = rank * self.context, (rank + 1) * self.context
        while start < end:
            epoch, within = divmod(start, size)
            order = self._array(stream_path(self.folder, unit, epoch, "order"))
            offsets = self._array(stream_path(self.folder, unit, epoch, "offsets"))
            row = int(np.searchsorted(offsets, within, side="right")) - 1
            while start < end and row < len(order):
                first = within - int(offsets[row])
                count = min(end - start, int(offsets[row + 1]) - within)
                spans.append(Span(int(order[row]), epoch, first, count))
                start += count
                within += count
                row += 1
        return spans

    def document(self, source: str, number: int) -> tuple[str, str, int]:
        """Where document ``number`` of a source is: partition, documents file, row."""
        shard, row = self._locate(source, number)
        found = self.plan["sources"][self._numbers[source]]["shards"][shard]
        return found["partition"], found["documents_path"], row

    def _cell(self, unit: int, phase: int) -> str:
        name, label = self.plan["phases"][phase]["name"], self.units[unit]["unit"]
        return f"{name}:{label}" if name else label

    def _place(self, k: int) -> tuple[int, int]:
        """Unit number of sequence ``k`` and how many of that unit come before it."""
        if not 0 <= k < self.sequences:
            raise IndexError(f"sequence {k} is not among the {self.sequences} of {self.folder}")
        unit = int(self._order[k])
        block = k // COUNT_BLOCK
        before = np.count_nonzero(self._order[block * COUNT_BLOCK : k] == unit)
        return unit, int(self._before[block, unit]) + int(before)

    def _locate(self, source: str, document: int) -> tuple[int, int]:
        firsts = self._firsts[self._numbers[source]]
        shard = int(np.searchsorted(firsts, document, side="right")) - 1
        return shard, document - int(firsts[shard])

    def _read(self, source: str, span: Span) -> np.ndarray:
        shard, _ = self._locate(source, span.document)
        starts = self._array(array_path(self.folder / "sources", source, "start"))
        start = int(starts[span.document])
        stored = self._shard(self._numbers[source], shard)
        if span.first:
            return stored[start + span.first - 1 : start + span.first - 1 + span.count]
        # The stored end token stands last; in a sequence it opens its document.
        return np.concatenate([[self.eos], stored[start : start + span.count - 1]])

    def _open_array(self, path: Path) -> np.ndarray:
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def _open_shard(self, source: int, shard: int) -> np.ndarray:
        found = self.plan["sources"][source]["shards"][shard]
        folder = self._lake.folder(found["asset"], found["partition"])
        path = folder / found["data"] / found["path"]
        expected = found["tokens"] * self.dtype.itemsize
        if not path.is_file() or path.stat().st_size != expected:
            raise SamplerError(
                f"{path} is missing or not {expected} bytes long: its tokens were replaced after "
                "the mixture was made; materialize mixture again"
            )
        return np.memmap(path, dtype=self.dtype, mode="r")


def open_sampler(folder: Path, lake_root: Path) -> Sampler:
    """Open a mixture's data folder.

    Args:
        lake_root: root of the lake that holds the token shards.

    Raises:
        SamplerError: there is no plan, or it is of another format.
    """
    return Sampler(Path(folder), Path(lake_root))


def _read_plan(folder: Path) -> dict[str, Any]:
    path = folder / PLAN_NAME
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SamplerError(f"{folder} holds no {PLAN_NAME}: materialize mixture") from None
    if plan.get("format_version") != FORMAT_VERSION:
        raise SamplerError(
            f"{path} has format version {plan.get('format_version')}, this release reads "
            f"{FORMAT_VERSION}: materialize mixture again"
        )
    return plan
