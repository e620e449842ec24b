"""Plan: how many sequences each unit gives in each phase, before anything is trained.

Phases are planned in order. A unit's limit (epochs) holds over the whole run: what an earlier
phase took is gone. A source with fixed epochs gives them spread over the phases by length, to the
sequence; the rest is divided by ``filling.py`` in the proportions of ``shares.py``. When that
cannot be done, an error says which limits are in the way: repeating text more often than the
recipe allows is never silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil

from tagarela_dagster.recipe.mixture import Mixture, Phase
from tagarela_dagster.training.mixing.filling import FullError, Limit, apportion, fill
from tagarela_dagster.training.mixing.shares import MixtureError, Rules, rules_of, wanted_shares
from tagarela_dagster.training.mixing.survey import Unit


@dataclass(frozen=True)
class Cell:
    """What a unit gives in a phase.

    Attributes:
        phase: name; "" when the recipe has no phases.
        sequences: planned ones.
        wanted: share of the phase's sequences before any limit (fixed epochs: None).
    """

    phase: str
    unit: Unit
    sequences: int
    wanted: Fraction | None

    @property
    def label(self) -> str:
        """Name in the account of a run: ``unit``, or ``phase:unit``."""
        return f"{self.phase}:{self.unit.label}" if self.phase else self.unit.label


def plan_cells(units: Sequence[Unit], section: Mixture, context: int, sequences: int) -> list[Cell]:
    """Divide ``sequences`` sequences of ``context`` tokens over phases and units.

    Returns:
        A cell for each phase and unit, in order; their sequences sum to ``sequences``.

    Raises:
        MixtureError: the units cannot fill the plan within their epochs and caps.
    """
    lengths = phase_lengths(section.phases, sequences)
    phases: Sequence[Phase | None] = section.phases or [None]
    sources = sorted({unit.source for unit in units})
    used = {unit.label: 0 for unit in units}
    cells: list[Cell] = []
    for phase, length, end in zip(phases, lengths, accumulate(lengths), strict=True):
        given = _fixed(units, section, context, Fraction(end, sequences), used)
        rules = rules_of(section, phase, sources)
        ask = _Ask(units, section, rules, context, sequences, length, given, used)
        found, wanted = ask.answer()
        name = phase.name if phase else ""
        cells += [Cell(name, u, found.get(u.label, 0), wanted.get(u.label)) for u in units]
        for label, number in found.items():
            used[label] += number
    return cells


def phase_lengths(phases: Sequence[Phase], sequences: int) -> list[int]:
    """Sequences of each phase; they sum to ``sequences``.

    Raises:
        MixtureError: the phases are longer or shorter than the run, or one is empty.
    """
    if not phases:
        return [sequences]
    stated = sum(phase.sequences or 0 for phase in phases)
    shares = {p.name: Fraction(str(p.share)) for p in phases if p.share is not None}
    rest = [phase.name for phase in phases if phase.share is None and phase.sequences is None]
    if rest:
        shares[rest[0]] = max(
            Fraction(0), 1 - Fraction(stated, sequences) - sum(shares.values(), Fraction(0))
        )
    whole = sum(shares.values(), Fraction(0)) + Fraction(stated, sequences)
    if abs(whole - 1) > Fraction(1, 10**6):
        raise MixtureError(
            f"the phases are {float(whole):g} of the run's {sequences} sequences: change their "
            "sequences, or leave share and sequences out in one of them, which takes the rest"
        )
    parts = apportion(sequences - stated, shares) if shares else {}
    lengths = [phase.sequences or parts[phase.name] for phase in phases]
    if empty := [phase.name for phase, n in zip(phases, lengths, strict=True) if not n]:
        raise MixtureError(f"the phases {empty} have no sequence of the {sequences} planned")
    return lengths


def _fixed(
    units: Sequence[Unit],
    section: Mixture,
    context: int,
    done: Fraction,
    used: Mapping[str, int],
) -> dict[str, int]:
    """Sequences that units with fixed epochs give in a phase, at whose end ``done`` is over.

    A source's sum is rounded half up over the whole run, then divided over its strata by what
    each still owes.
    """
    given: dict[str, int] = {}
    factors = section.tiers.weights if section.tiers else {}
    for source, weight in section.sources.items():
        if weight.epochs is None:
            continue
        share = Fraction(str(weight.epochs)) * done / context
        due = {
            u.label: share * u.tokens * Fraction(factors.get(u.stratum.tier, 1.0))
            for u in units
            if u.source == source
        }
        total = int(sum(due.values(), Fraction(1, 2))) - sum(used[label] for label in due)
        owed = {n: d - used[n] for n, d in due.items() if d > used[n]}
        if total > 0:
            given |= apportion(total, owed)
    return given


@dataclass(frozen=True)
class _Ask:
    """One phase to divide."""

    units: Sequence[Unit]
    section: Mixture
    rules: Rules
    context: int
    sequences: int
    length: int
    given: Mapping[str, int]
    used: Mapping[str, int]

    def answer(self) -> tuple[dict[str, int], dict[str, Fraction]]:
        """Sequences by unit, and wanted shares by unit."""
        left = self.length - sum(self.given.values())
        free = [unit for unit in self.units if unit.source in self.rules.weights]
        if left < 0 or (left and not free):
            raise MixtureError(
                f"sources with fixed epochs give {sum(self.given.values())} sequences, "
                f"{self.length} are planned: change their epochs or training.pretrain.steps"
            )
        caps = [self._cap(i) for i in range(len(self.rules.caps))]
        if not left:
            return dict(self.given), {}
        wanted = wanted_shares(free, self.rules)
        limits = {u.label: self._limit(u) for u in free if u.label in wanted}
        try:
            found = fill(left, wanted, limits, caps)
        except FullError as error:
            raise MixtureError(self._shortage(error, limits, left)) from None
        return {**self.given, **found}, wanted

    def _limit(self, unit: Unit) -> int:
        epochs = Fraction(self.section.limit(unit.source))
        return max(0, int(epochs * unit.tokens / self.context) - self.used[unit.label])

    def _cap(self, number: int) -> Limit:
        cap = self.rules.caps[number]
        units = frozenset(u.label for u in self.units if u.stratum.fits(cap, u.source))
        fixed = sum(self.given.get(label, 0) for label in units)
        most = ceil(Fraction(str(cap.max_share)) * self.length) - fixed
        if most < 0:
            raise MixtureError(f"sources with fixed epochs break the cap {cap.name}: change one")
        return Limit(f"the cap {cap.name}", units, most)

    def _shortage(self, error: FullError, limits: Mapping[str, int], left: int) -> str:
        capped = [limit.name for limit in error.full if limit.name.startswith("the cap ")]
        needed, context = left * self.context, self.context
        within = "their epochs and caps" if capped else "their epochs"
        lines = [
            f"the plan needs {needed} tokens ({left} sequences of {context}), the sources give "
            f"{error.most * context} within {within}:"
        ]
        lines += [f"  {name} is reached" for name in capped]
        usable = [unit for unit in self.units if unit.label in limits]
        sizes = {u.source: 0 for u in usable}
        for unit in usable:
            sizes[unit.source] += unit.tokens
        lines += [
            f"  {name}: {size} tokens x {self.section.limit(name):g} epochs"
            for name, size in sizes.items()
        ]
        # Each unit may lose up to a sequence to whole numbers.
        epochs = (needed + len(limits) * context) / sum(sizes.values())
        lines.append(
            ("Add text, change the caps, " if capped else "Add text, ")
            + f"raise tokens.mixture.max_epochs (about {epochs:.1f} fill it when no "
            "source has a limit of its own), or lower training.pretrain.steps to "
            f"{100 * error.most // left}% of what it is."
        )
        return "\n".join(lines)
