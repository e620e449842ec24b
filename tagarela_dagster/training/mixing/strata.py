"""Strata: which part of its source a document belongs to, from the columns of a token index.

A stratum has up to three sides, each only where the recipe asks for it: the variety (with a least
score), the quality tier (a signal, cut at values) and the licence (which of the caps' patterns
match). Two documents that the recipe never tells apart are in one stratum, so a recipe without
tiers, varieties and caps has one stratum a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagarela_dagster.recipe.mixture import Cap, Mixture, Tiers

UNKNOWN = "unknown"
OTHER_LICENSE = "other"
WHOLE = "all"
_SEPARATOR = "\x1f"


class StrataError(ValueError):
    """The index lacks what the strata are made of; the message says what to do."""


@dataclass(frozen=True, order=True)
class Stratum:
    """What all documents of a stratum have in common; "" on a side that is not told apart.

    Attributes:
        license: patterns of the caps that match the licence, joined by ``+``, or ``other``.
    """

    variety: str = ""
    tier: str = ""
    license: str = ""

    @property
    def label(self) -> str:
        """As the plan names it: ``pt-PT/head``, ``all`` when nothing is told apart."""
        return "/".join(side for side in (self.variety, self.tier, self.license) if side) or WHOLE

    def fits(self, cap: Cap, source: str) -> bool:
        """Whether ``cap`` counts this stratum of ``source``."""
        return all(
            pattern in self.license.split("+")
            if name == "license"
            else fnmatchcase(source if name == "source" else getattr(self, name), pattern)
            for name, pattern in cap.conditions.items()
        )


class Strata:
    """Tells documents apart as a mixture's recipe asks."""

    def __init__(self, section: Mixture) -> None:
        conditions = [cap.conditions for cap in section.all_caps]
        self.tiers = section.tiers
        self.min_score = section.varieties.min_score if section.varieties else 0.0
        self.by_variety = (
            section.varieties is not None
            or any(phase.varieties is not None for phase in section.phases)
            or any("variety" in names for names in conditions)
        )
        self.patterns = sorted({names["license"] for names in conditions if "license" in names})

    @property
    def columns(self) -> list[str]:
        """Columns of the index that decide the stratum."""
        columns = ["variety", "variety_score"] if self.by_variety else []
        if self.tiers:
            signal = self.tiers.signal
            columns.append(signal if signal == "variety_score" else f"quality.{signal}")
        return [*dict.fromkeys(columns), *(["license"] if self.patterns else [])]

    def of(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int32], list[Stratum]]:
        """Number of each row's stratum (rows,), and the strata by number.

        Args:
            batch: has ``columns`` (a signal within the ``quality`` struct).
        """
        nothing = pa.repeat("", batch.num_rows)
        variety = self._variety(batch) if self.by_variety else nothing
        tier = tier_of(_signal(batch, self.tiers.signal), self.tiers) if self.tiers else nothing
        license_ = self._license(batch.column("license")) if self.patterns else nothing
        joined = pc.binary_join_element_wise(variety, tier, license_, _SEPARATOR)
        encoded = joined.dictionary_encode()
        strata = [Stratum(*name.split(_SEPARATOR)) for name in encoded.dictionary.to_pylist()]
        return encoded.indices.to_numpy(), strata

    def _variety(self, batch: pa.RecordBatch) -> pa.Array:
        variety = batch.column("variety").fill_null(UNKNOWN)
        # A variety that the source states has no score.
        sure = pc.greater_equal(batch.column("variety_score"), pa.scalar(self.min_score))
        return pc.if_else(sure.fill_null(True), variety, UNKNOWN)

    def _license(self, column: pa.Array) -> pa.Array:
        encoded = column.fill_null("").dictionary_encode()
        names = [self._matching(name) for name in encoded.dictionary.to_pylist()]
        return pa.array(names, pa.string()).take(encoded.indices)

    def _matching(self, license_: str) -> str:
        found = [p for p in self.patterns if license_matches(license_, p)]
        return "+".join(found) or OTHER_LICENSE


def license_matches(license_: str, pattern: str) -> bool:
    """Licence names are compared without regard to case; ``*`` stands for anything."""
    return fnmatchcase(license_.strip().lower(), pattern.strip().lower().replace("[", "[[]"))


def tier_of(signal: pa.Array, tiers: Tiers) -> pa.Array:
    """(rows,) tier of each document: ``unknown`` where the signal is null or no number."""
    values = signal.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    # Signals are stored as float32: a cut is rounded alike, so that a document on it is above.
    cuts = np.asarray(tiers.cuts, dtype=np.float32).astype(np.float64)
    number = np.searchsorted(cuts, values, side="right")
    number[np.isnan(values)] = len(cuts) + 1
    labels: Sequence[str] = [*tiers.labels, UNKNOWN]
    return pa.array(labels, pa.string()).take(pa.array(number))


def _signal(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name in batch.schema.names:
        return batch.column(name)
    quality = batch.column("quality")
    names = [quality.type.field(i).name for i in range(quality.type.num_fields)]
    if name not in names:
        raise StrataError(f"tokens.mixture.tiers.signal is {name!r}, the documents have {names}")
    return pc.struct_field(quality, name)
