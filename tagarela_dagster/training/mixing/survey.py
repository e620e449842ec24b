"""Survey: one pass over the token indexes, for what a plan must know of every document.

Strata are decided here and not when text is tokenized, so a change of tiers, varieties or caps
makes only the mixture stale. Arrays go to files that are memory-mapped, so memory does not follow
the number of documents; repeats take 9 bytes for each document that has any.

Files, one entry a document of a source, in the order of its shards: ``start.npy`` int64 (place of
its first token in its shard, published with the mixture), and, for the time of writing,
``length.npy`` int64 (tokens with the end token), ``unit.npy`` uint16 and ``repeats.npy`` uint8.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.training.mixing.strata import Strata, StrataError, Stratum
from tagarela_dagster.training.tokens.token_index import TokenShard

MAX_UNITS = 1 << 16
ARRAYS = {"start": np.int64, "length": np.int64, "unit": np.uint16, "repeats": np.uint8}

Repeats = Iterable[tuple[str, str, int]]
"""(partition, document id, times that an epoch uses it), where that is not as usual."""


@dataclass(frozen=True)
class Unit:
    """A stratum of a source.

    Attributes:
        documents: different ones.
        uses: documents of one epoch, repeats counted.
        tokens: of one epoch, repeats counted.
        max_repeats: of its documents.
    """

    source: str
    stratum: Stratum
    documents: int
    uses: int
    tokens: int
    max_repeats: int

    @property
    def label(self) -> str:
        """``source`` or ``source/stratum``: the unit's name in the plan and in metrics."""
        label = self.stratum.label
        return self.source if self.stratum == Stratum() else f"{self.source}/{label}"


def survey(
    shards: Mapping[str, Sequence[TokenShard]],
    lake: Lake,
    strata: Strata,
    repeats: Repeats | None,
    folder: Path,
    usual: int = 1,
) -> list[Unit]:
    """Write the arrays of every source to ``folder/SOURCE/`` and count its units.

    Args:
        shards: source -> its token shards, in order.
        repeats: documents that an epoch uses otherwise than usual; 0 leaves a document out.
        usual: times that an epoch uses every other document.

    Returns:
        Units, by source and stratum; ``unit.npy`` numbers them by their place in this list.

    Raises:
        StrataError: an index has not the columns that the recipe's strata need.
    """
    known = _Repeats(repeats or (), usual)
    units: list[Unit] = []
    for source in sorted(shards):
        units += _survey_source(source, shards[source], lake, strata, known, folder, len(units))
    if len(units) > MAX_UNITS:
        raise StrataError(f"{len(units)} strata are more than {MAX_UNITS}: name fewer of them")
    return units


class _Repeats:
    """Repeats by partition and hash of the id, sorted; two ids of 10^8 share a hash with 0.0003."""

    def __init__(self, repeats: Repeats, usual: int) -> None:
        self.usual = usual
        hashes: dict[str, array[int]] = {}
        times: dict[str, array[int]] = {}
        for partition, identifier, number in repeats:
            if not 0 <= number <= 255:
                raise StrataError(f"{identifier} repeats {number} times: 0 to 255 are possible")
            hashes.setdefault(partition, array("Q")).append(xxhash.xxh3_64_intdigest(identifier))
            times.setdefault(partition, array("B")).append(number)
        self._known: dict[str, tuple[NDArray[np.uint64], NDArray[np.uint8]]] = {}
        for partition in sorted(hashes):
            keys = np.frombuffer(hashes.pop(partition), np.uint64)
            order = np.argsort(keys, kind="stable")
            values = np.frombuffer(times.pop(partition), np.uint8)
            self._known[partition] = keys[order], values[order]

    def knows(self, partition: str) -> bool:
        """Whether any document of the partition repeats."""
        return partition in self._known

    def of(self, partition: str, ids: pa.Array) -> NDArray[np.uint8]:
        """(ids,) times that each document is used in an epoch."""
        keys, values = self._known[partition]
        wanted = np.fromiter(map(xxhash.xxh3_64_intdigest, ids.to_pylist()), np.uint64, len(ids))
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, values[at], self.usual).astype(np.uint8)


def _survey_source(
    source: str,
    shards: Sequence[TokenShard],
    lake: Lake,
    strata: Strata,
    repeats: _Repeats,
    folder: Path,
    first: int,
) -> list[Unit]:
    rows = sum(shard.documents for shard in shards)
    if not rows:
        return []
    (folder / source).mkdir(parents=True, exist_ok=True)
    files = {
        n: open_memmap(array_path(folder, source, n), "w+", t, (rows,)) for n, t in ARRAYS.items()
    }
    numbers: dict[Stratum, int] = {}
    counts: list[list[int]] = []
    at = 0
    for shard in shards:
        for batch in _index_batches(shard, lake, strata, repeats.knows(shard.partition)):
            times = np.full(batch.num_rows, repeats.usual, np.uint8)
            if repeats.knows(shard.partition):
                times = repeats.of(shard.partition, batch.column("id"))
            codes, found = strata.of(batch)
            for stratum in found:
                if stratum not in numbers:
                    numbers[stratum] = len(numbers)
                    counts.append([0, 0, 0, 0])
            units = np.array([numbers[s] for s in found], np.uint16)[codes]
            length = batch.column("length").to_numpy()
            _count(counts, units, length, times)
            end = at + batch.num_rows
            for name, values in zip(
                ARRAYS, (batch.column("start").to_numpy(), length, units, times), strict=True
            ):
                files[name][at:end] = values
            at = end
    if at != rows:
        raise StrataError(f"the indexes of {source} hold {at} documents, their manifests {rows}")
    ranked = sorted(numbers)
    places = np.empty(len(ranked), np.uint16)
    for place, stratum in enumerate(ranked):
        places[numbers[stratum]] = first + place
    for begin in range(0, rows, 1 << 20):
        part = files["unit"][begin : begin + (1 << 20)]
        part[:] = places[part]
    for file in files.values():
        file.flush()
    return [Unit(source, stratum, *counts[numbers[stratum]]) for stratum in ranked]


def array_path(folder: Path, source: str, name: str) -> Path:
    """Where a survey's array of a source lies."""
    return folder / source / f"{name}.npy"


def _count(
    counts: list[list[int]],
    units: NDArray[np.uint16],
    length: NDArray[np.int64],
    times: NDArray[np.uint8],
) -> None:
    for number in np.unique(units).tolist():
        mine = units == number
        used = times[mine].astype(np.int64)
        row = counts[number]
        row[0] += int(mine.sum())
        row[1] += int(used.sum())
        row[2] += int((length[mine] * used).sum())
        row[3] = max(row[3], int(used.max()))


def _index_batches(
    shard: TokenShard, lake: Lake, strata: Strata, with_id: bool
) -> Iterable[pa.RecordBatch]:
    path = lake.folder(shard.asset, shard.partition) / shard.data / shard.documents_path
    columns = ["start", "length", *(["id"] if with_id else []), *strata.columns]
    with pq.ParquetFile(path) as file:
        names = {column.path for column in file.schema} | set(file.schema_arrow.names)
        if missing := [name for name in columns if name not in names]:
            known = sorted(name for name in names if name.startswith("quality."))
            raise StrataError(
                f"the token index of {shard.partition} has no {', '.join(missing)}: name a signal "
                f"that it has ({', '.join(known) or 'none'}), or materialize tokens again"
            )
        yield from file.iter_batches(1 << 16, columns=columns)
