"""Passages as kernels take them: labelled, dealt into folds by source, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets, text_buffers
from tagarela_dagster.corpus.models.calibration import Values
from tagarela_dagster.corpus.models.passages import Passage

DOCUMENT_UNITS = 8
"""Groups of documents that stand for sources where a class has a single source."""


class TrainingTextError(ValueError):
    """There is not enough labelled text to train on."""


@dataclass(frozen=True)
class TrainingSet:
    """Passages as kernels take them.

    Attributes:
        labels: (rows,) index into ``classes``.
        sources: (rows,) index into ``source_names``.
        units: (rows,) what must agree on a feature: the source; groups of documents where a class
            has a single source.
        folds: (rows,) which fold a passage is left out of: whole sources, or as units.
        weights: (rows,) so that classes weigh the same, and sources the root of their size.
    """

    classes: tuple[str, ...]
    source_names: tuple[str, ...]
    data: Bytes
    offsets: Offsets
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    units: NDArray[np.int64]
    folds: NDArray[np.int64]
    weights: Values
    dealt_by: str

    @classmethod
    def of(cls, passages: Sequence[Passage], classes: Sequence[str], folds: int) -> TrainingSet:
        """Order and deal passages. Raises TrainingTextError when a class has none."""
        names = sorted({passage.source for passage in passages})
        labels = np.array([list(classes).index(p.label) for p in passages], np.int64)
        sources = np.array([names.index(p.source) for p in passages], np.int64)
        for index, name in enumerate(classes):
            if not (labels == index).any():
                raise TrainingTextError(
                    f"no training text is labelled {name!r}; labels come from the sources "
                    f"{names}: name sources (or labelled files) of every class"
                )
        data, offsets = text_buffers(pa.array([p.text for p in passages], pa.large_string()))
        sizes = np.zeros((len(names), len(classes)), np.int64)
        np.add.at(sizes, (sources, labels), 1)
        if ((sizes > 0).sum(axis=0) < 2).any():
            documents = {name: i for i, name in enumerate(sorted({p.document for p in passages}))}
            units = np.array([documents[p.document] % DOCUMENT_UNITS for p in passages], np.int64)
            dealt, dealt_by = units % folds, "document"
        else:
            units, dealt, dealt_by = sources, _deal(sizes, folds)[sources], "source"
        return cls(
            tuple(classes),
            tuple(names),
            data,
            offsets,
            labels,
            sources,
            units,
            dealt,
            _weights(labels, sources),
            dealt_by,
        )

    def part(self, rows: NDArray[np.int64]) -> tuple[Bytes, Offsets]:
        """Buffers of some rows."""
        pieces = [self.data[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        ends = np.cumsum([0, *(len(piece) for piece in pieces)])
        return np.concatenate([*pieces, np.zeros(0, np.uint8)]), ends.astype(np.int64)


def _deal(sizes: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Fold of each source, given (sources, classes) passages: the largest first, each to the fold
    that has the least of its classes."""
    held = np.zeros((min(folds, len(sizes)), sizes.shape[1]))
    shares = sizes / sizes.sum(axis=0)
    fold_of = np.zeros(len(sizes), np.int64)
    for source in np.lexsort((np.arange(len(sizes)), -shares.sum(axis=1))):
        grown = (held + shares[source])[:, shares[source] > 0].max(axis=1)
        fold_of[source] = int(np.argmin(grown))
        held[fold_of[source]] += shares[source]
    return fold_of


def _weights(labels: NDArray[np.int64], sources: NDArray[np.int64]) -> Values:
    """A source of n passages weighs the root of n in its class; classes weigh the same; mean 1."""
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        for source in np.unique(sources[labels == label]):
            rows = (labels == label) & (sources == source)
            weights[rows] = 1 / np.sqrt(rows.sum())
        weights[labels == label] /= weights[labels == label].sum()
    return weights * len(labels) / weights.sum()
