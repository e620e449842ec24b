"""Dynamic batch loading: sources that a pruned model has lost more of are seen more often.

Algorithm 1 of arXiv 2310.06694: every so many steps a source's share is multiplied with
exp(max(loss - reference, 0)), and the shares are scaled to 1. The reference here is the loss of
the model that is pruned (the paper predicts it for the target's size with a scaling law; the gap
to the parent needs no such fit). Losses are measured on the last sequences of each source in the
stage's slice, which are kept back for that.

Sequence k stays what the mixture says. Only *which* k come next is chosen: of each source, its
sequences of the slice in order; between sources, whoever is furthest behind its share. So a window
between two changes is a pure function of shares and of the sequences taken before it, which the
run's metrics hold, and a resumed run trains on the same ones.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tagarela_dagster.recipe.pruning import Prune
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.data import Batch, Batches

if TYPE_CHECKING:
    from tagarela_dagster.training.mixing.sampler import Sampler

SMOOTHING = 1e-4
"""Of this share every source has its equal part (llmshearing/callbacks/dynamic_loading_callback.py,
after DoReMi, arXiv 2305.10429)."""
DIGITS = 6
"""Shares are rounded, so that another number of ranks, whose sums differ in the last digits,
chooses the same sequences."""
Numbers = dict[str, float]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """State at the first step of a window; what metrics keep.

    Attributes:
        shares: source -> share of the sequences of this window.
        taken: source -> sequences trained on before it.
        given: source -> sequences that were its due and that others gave, as it had run out.
        reference: source -> loss of the model that is pruned, nats per token.
    """

    shares: Numbers
    taken: dict[str, int]
    given: dict[str, int]
    reference: Numbers

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Window:
        """The state in a line of metrics."""
        return cls(**row["loading"])


def reweighted(shares: Numbers, losses: Numbers, reference: Numbers) -> Numbers:
    """Shares after one change, by source; they sum to 1."""
    grown = {s: w * math.exp(max(losses[s] - reference[s], 0.0)) for s, w in shares.items()}
    whole = sum(grown.values())
    smooth = SMOOTHING / len(shares)
    return {s: round((1 - SMOOTHING) * w / whole + smooth, DIGITS) for s, w in grown.items()}


def pick(
    window: Window, available: Mapping[str, int], count: int
) -> tuple[list[tuple[str, int]], Window]:
    """The next ``count`` sequences as (source, number within the source), and the state after.

    A source that has run out gives what is its due to the one that is furthest behind its share.

    Args:
        available: source -> sequences that there are in all.
    """
    picked: list[tuple[str, int]] = []
    taken, given = dict(window.taken), dict(window.given)
    served = dict.fromkeys(window.shares, 0)
    for number in range(1, count + 1):
        behind = {s: share * number - served[s] for s, share in window.shares.items()}
        order = sorted(behind, key=lambda s: (-behind[s], s))
        served[order[0]] += 1
        source = next(s for s in order if taken[s] < available[s])
        if source != order[0]:
            given[order[0]] += 1
        picked.append((source, taken[source]))
        taken[source] += 1
    return picked, Window(window.shares, taken, given, window.reference)


class _Chosen(list[int]):
    """Sequences of a step, not in a row; the ends are for messages."""

    start = property(min)
    stop = property(lambda self: max(self) + 1)


class DynamicBatches(Batches):
    """Micro-batches of one rank, of sources whose shares change.

    ``open`` says what is taken in a window; a step of a later one waits for it.

    Args:
        first, count: the stage's slice of the mixture.
    """

    def __init__(
        self, sampler: Sampler, section: Prune, rank: int, world: int, first: int, count: int
    ) -> None:
        self.window: Window | None = None
        super().__init__(sampler, section, rank, world, first)
        self.every = section.reweight_every
        self.after: Window | None = None
        """State after the open window."""
        self._chosen: dict[int, _Chosen] = {}
        self._known = threading.Condition()
        self._stopped = False
        self.sources, self.probes = _of_sources(sampler, first, count, section.probe_sequences)
        self._size = section.step_sequences
        found = sum(map(len, self.sources.values()))
        if found < section.steps * self._size:
            raise TrainingError(
                f"the stage's {count} sequences less those kept for measuring are {found}, "
                f"{section.steps} steps take {section.steps * self._size}: raise reserve "
                f"({section.reserve:g}) or lower probe_sequences ({section.probe_sequences})"
            )

    def start(self, reference: Numbers) -> Window:
        """State before the first step: each source has the share that the mixture gives it."""
        sizes = {source: len(numbers) for source, numbers in self.sources.items()}
        whole = sum(sizes.values())
        shares = {source: round(size / whole, DIGITS) for source, size in sizes.items()}
        none = dict.fromkeys(sizes, 0)
        return Window(shares, none, none, reference)

    def open(self, step: int, window: Window) -> None:
        """Choose the sequences of the window that begins with ``step`` (from 0)."""
        length = min(self.every, self.steps - step)
        available = {source: len(numbers) for source, numbers in self.sources.items()}
        picked, after = pick(window, available, length * self._size)
        numbers = [int(self.sources[source][place]) for source, place in picked]
        with self._known:
            self.window, self.after = window, after
            self._chosen = {
                step + s: _Chosen(numbers[s * self._size : (s + 1) * self._size])
                for s in range(length)
            }
            self._known.notify_all()

    def reopen(self, done: int, window: Window) -> None:
        """Open the window of the step after ``done`` steps; the last one's when all are done."""
        self.open(min(done, self.steps - 1) // self.every * self.every, window)

    def change(self, step: int, losses: Numbers) -> Window:
        """Change the shares after step ``step`` (from 1), the last of its window, and open the
        next."""
        assert self.after is not None
        shares = reweighted(self.after.shares, losses, self.after.reference)
        window = replace(self.after, shares=shares)
        self.open(step, window)
        return window

    @property
    def told(self) -> dict[str, Any]:
        """The open window's state, as metrics keep it."""
        assert self.window is not None
        return asdict(self.window)

    def due(self) -> dict[str, int]:
        """Cell -> tokens of what was chosen up to the end of the open window."""
        assert self.after is not None
        found: dict[str, int] = {}
        for source, numbers in self.sources.items():
            for k in numbers[: self.after.taken[source]].tolist():
                cell = self.sampler.cell_of(k)
                found[cell] = found.get(cell, 0) + self.sampler.context
        return found

    @property
    def unused(self) -> int:
        """Sequences of the reserve that nobody took."""
        assert self.after is not None
        return sum(map(len, self.sources.values())) - sum(self.after.taken.values())

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._known:
            self._stopped = True
            self._known.notify_all()

    def sequences(self, step: int) -> Any:
        """Sequences of the mixture that all ranks take in step ``step`` (from 0); waits until its
        window is open. Before the first one, those that an unchanged mixture would give."""
        if self.window is None:
            return super().sequences(step)
        with self._known:
            self._known.wait_for(lambda: step in self._chosen or self._stopped)
            return self._chosen.get(step, _Chosen([self.first]))

    def probe(self, source: str) -> list[Batch]:
        """Micro-batches of this rank that cover a source's probe together with the other ranks';
        every rank has the same number, some of them without targets."""
        numbers = self.probes[source].tolist()
        size = self.layout.micro_batch
        count = -(-len(numbers) // (self.world * size))
        starts = ((micro * self.world + self.rank) * size for micro in range(count))
        return [self._batch(numbers[start : start + size]) for start in starts]


def _of_sources(
    sampler: Sampler, first: int, count: int, probe: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Source -> its sequences of the slice in order, without and with only those kept back."""
    units = sampler.units_of(first, count)
    trained, kept = {}, {}
    for source in sorted({unit["source"] for unit in sampler.units}):
        own = [n for n, unit in enumerate(sampler.units) if unit["source"] == source]
        numbers = first + np.flatnonzero(np.isin(units, own))
        back = min(probe, len(numbers) // 4)
        if back:
            trained[source], kept[source] = numbers[:-back], numbers[-back:]
        else:
            logger.warning(
                "%s has %d sequences in the stage's slice, too few to measure on (4): none of "
                "them is trained on",
                source,
                len(numbers),
            )
    return trained, kept
