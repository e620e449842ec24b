"""Rehydration: repeats of a survivor by the size of its cluster, for the mixture.

A document that many pages repeat is often a good one, up to a size from which on it is
boilerplate. FineWeb-2 (arXiv 2506.20920, section on rehydration) therefore uses a survivor as
often as the filters' verdict on clusters of its size suggests: ``derive_repeats`` is that rule,
``repeats`` applies a table of it to ``clusters.parquet``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tagarela_dagster.recipe.rehydration import Rehydration

COLUMNS = ["partition", "id", "kept", "size"]


def repeats(clusters: Iterable[Path], section: Rehydration) -> Iterator[tuple[str, str, int]]:
    """Partition, id and repeats of every survivor that is not used as often as any document.

    A document that does not come is in no cluster, and used ``section.repeats[1]`` times.

    Args:
        clusters: ``clusters.parquet``, one or more.
    """
    if not section.enabled:
        return
    usual = section.repeats[1]
    sizes = np.array(list(section.repeats), np.int64)
    times = np.array(list(section.repeats.values()), np.int64)
    for path in clusters:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=COLUMNS):
                batch = batch.filter(batch.column("kept"))
                found = np.searchsorted(sizes, batch.column("size").to_numpy(), side="right") - 1
                for row in np.flatnonzero(times[found] != usual):
                    partition, name = batch.column("partition")[row], batch.column("id")[row]
                    yield partition.as_py(), name.as_py(), int(times[found[row]])


def derive_repeats(
    removed: Mapping[int, float], overall: float, most: int = 5, window: int = 5
) -> dict[int, int]:
    """A table of repeats from how many documents the filters removed.

    A size whose removal rate, averaged over its ``window`` neighbours, is at or above the rate of
    the whole corpus gets 1; the lowest rate gets ``most``; between them it is linear, rounded
    (FineWeb-2, arXiv 2506.20920).

    Args:
        removed: cluster size -> share of its documents that the filters removed, 0 to 1.
        overall: that share in the whole corpus (FineWeb-2's Portuguese: .6767).
        window: sizes in an average; at either end there are fewer.

    Returns:
        From a cluster size on -> repeats; an entry where they change.
    """
    sizes = sorted(removed)
    rates = [removed[size] for size in sizes]
    half = window // 2
    smooth = [
        sum(near) / len(near)
        for near in (rates[max(0, i - half) : i + half + 1] for i in range(len(rates)))
    ]
    lowest = min(smooth, default=overall)
    table: dict[int, int] = {1: 1}
    last = 1
    for size, rate in zip(sizes, smooth, strict=True):
        times = 1
        if rate < overall:
            times = int(1 + (most - 1) * (overall - rate) / (overall - lowest) + 0.5)
        if times != last:
            table[size] = last = times
    return table
