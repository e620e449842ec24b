"""Filling: divide whole sequences in proportion, where nothing may grow above its limit.

Every unit grows in proportion to what is wanted of it until a limit is reached, its own (epochs)
or that of a cap over several units; what has reached a limit stands still, the others go on, until
the sequences are all given (progressive filling: Bertsekas and Gallager, Data Networks, section
6.5.2). Arithmetic is in fractions, so the same plan comes out everywhere. What is left of whole
numbers goes to the largest remainders, then by name, as far as the limits have room.

Caps that overlap can stop that growth although another division would fit. Then the nearest plan
in whole sequences is sought by integer programming (the least sum of |change| over all units), so
a plan is refused only when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Limit:
    """At most ``most`` sequences over ``units``."""

    name: str
    units: frozenset[str]
    most: int


class FullError(ValueError):
    """The limits leave too little room.

    Attributes:
        most: sequences that they allow at the most.
        full: limits that are reached then.
    """

    def __init__(self, most: int, full: Sequence[Limit]) -> None:
        super().__init__(f"the limits allow {most} sequences")
        self.most = most
        self.full = list(full)


def fill(
    total: int, wanted: Mapping[str, Fraction], limits: Mapping[str, int], caps: Sequence[Limit]
) -> dict[str, int]:
    """Sequences of each unit: they sum to ``total``, and every limit holds.

    Args:
        wanted: proportions, above 0.
        limits: most sequences of each unit.
        caps: limits over several units.

    Raises:
        FullError: no division of ``total`` keeps the limits.
    """
    caps = [Limit(c.name, c.units & wanted.keys(), c.most) for c in caps]
    caps = [cap for cap in caps if cap.units]
    exact = grow(Fraction(total), wanted, limits, caps)
    given = {name: int(exact[name]) for name in wanted}
    room = {cap.name: cap.most - sum(given[u] for u in cap.units) for cap in caps}
    left = total - sum(given.values())
    # Each may be rounded up once: a second one would leave the proportions.
    for name in sorted(exact, key=lambda n: (given[n] - exact[n], n)):
        mine = [cap.name for cap in caps if name in cap.units]
        if left and given[name] < limits[name] and all(room[cap] > 0 for cap in mine):
            given[name] += 1
            left -= 1
            for cap in mine:
                room[cap] -= 1
    return given if not left else _nearest(total, exact, limits, caps)


def grow(
    total: Fraction,
    wanted: Mapping[str, Fraction],
    limits: Mapping[str, int],
    caps: Sequence[Limit],
) -> dict[str, Fraction]:
    """Progressive filling; sums to less than ``total`` when everything has reached a limit."""
    members = {f"unit {n}": ({n}, Fraction(limits[n])) for n in wanted}
    members |= {f"cap {i}": (set(cap.units), Fraction(cap.most)) for i, cap in enumerate(caps)}
    exact = dict.fromkeys(wanted, Fraction(0))
    # Growing units of a limit are at (level * wanted): its height is linear in the level.
    growing = set(wanted)
    still = dict.fromkeys(members, Fraction(0))
    moving = {n: sum((wanted[u] for u in us), Fraction(0)) for n, (us, _) in members.items()}
    pace, stopped = sum(wanted.values(), Fraction(0)), Fraction(0)
    while growing:
        levels = {n: (most - still[n]) / moving[n] for n, (_, most) in members.items() if moving[n]}
        lowest = min(levels.values())
        if stopped + lowest * pace >= total:
            level = (total - stopped) / pace
            exact.update({n: level * wanted[n] for n in growing})
            break
        full = {n for n, level in levels.items() if level == lowest}
        ending = set().union(*(members[n][0] for n in full)) & growing
        exact.update({n: lowest * wanted[n] for n in ending})
        for name, (units, _) in members.items():
            for unit in units & ending:
                still[name] += exact[unit]
                moving[name] -= wanted[unit]
        growing -= ending
        stopped += sum((exact[n] for n in ending), Fraction(0))
        pace -= sum((wanted[n] for n in ending), Fraction(0))
    return exact


def apportion(total: int, wanted: Mapping[str, Fraction]) -> dict[str, int]:
    """Integers in proportion to ``wanted`` that sum to ``total``: largest remainders, then name."""
    whole = sum(wanted.values(), Fraction(0))
    exact = {name: total * share / whole for name, share in wanted.items()}
    given = {name: int(share) for name, share in exact.items()}
    order = sorted(exact, key=lambda n: (given[n] - exact[n], n))
    for name in order[: total - sum(given.values())]:
        given[name] += 1
    return given


def _nearest(
    total: int,
    exact: Mapping[str, Fraction],
    limits: Mapping[str, int],
    caps: Sequence[Limit],
) -> dict[str, int]:
    """Whole sequences within all limits, nearest to ``exact``."""
    most, _ = _program([-1.0] * len(exact), exact, limits, caps, None)
    if sum(most.values()) < total:
        full = [Limit(f"{n}'s epochs", frozenset([n]), limits[n]) for n in exact]
        tight = [x for x in [*caps, *full] if sum(most[u] for u in x.units) == x.most]
        raise FullError(sum(most.values()), tight)
    found, distance = _program([0.0] * len(exact), exact, limits, caps, total)
    assert distance is not None
    return found


def _program(
    worth: list[float],
    exact: Mapping[str, Fraction],
    limits: Mapping[str, int],
    caps: Sequence[Limit],
    total: int | None,
) -> tuple[dict[str, int], float | None]:
    """Minimise ``worth`` times the sequences, plus their distance from ``exact`` under a total."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    names, size = sorted(exact), len(exact)
    near = total is not None
    # Variables: sequences of each unit, then (with a total) at least |sequences - exact|.
    rows = [[float(n in cap.units) for n in names] + [0.0] * (size * near) for cap in caps]
    low, high = [-np.inf] * len(rows), [float(cap.most) for cap in caps]
    if near:
        rows.append([1.0] * size + [0.0] * size)
        low.append(float(total or 0))
        high.append(float(total or 0))
        for sign in (1.0, -1.0):
            for i, name in enumerate(names):
                row = [0.0] * (2 * size)
                row[i], row[size + i] = sign, -1.0
                rows.append(row)
                low.append(-np.inf)
                high.append(sign * float(exact[name]))
    upper = [float(limits[n]) for n in names] + [np.inf] * (size * near)
    costs = [*worth, *([1.0] * (size * near))]
    constraints = [LinearConstraint(np.array(rows), low, high)] if rows else []
    whole = [1] * size + [0] * (size * near)
    options = {"mip_rel_gap": 0.0}
    found = milp(
        costs, integrality=whole, bounds=Bounds(0, upper), constraints=constraints, options=options
    )
    if found.x is None:
        raise FullError(0, list(caps))
    return {n: round(found.x[i]) for i, n in enumerate(names)}, found.fun if near else None
