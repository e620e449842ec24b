"""Shares: in which proportions units are wanted, before any limit.

For a source s with strata u, tokens n_u of one epoch and tier factors f_u:

    size     m_s = sum over u of n_u f_u
    source   weight_s x m_s            by tokens
             weight_s                  by weights (GlórIA)
             weight_s x m_s^(1/T)      by temperature (arXiv 1907.05019, section 3)
    stratum  the source's part x n_u f_u / m_s

Then varieties with a target share are scaled to it, all others to the rest. Everything is a
fraction; the root is taken with 50 decimal digits, so that it is the same number on any machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from tagarela_dagster.recipe.mixture import By, Cap, Mixture, Phase, Weight
from tagarela_dagster.training.mixing.survey import Unit

ROOT_DIGITS = 50


class MixtureError(ValueError):
    """The sources cannot give the planned sequences; the message says what to change."""


@dataclass(frozen=True)
class Rules:
    """The mixture's rules as one phase has them.

    Attributes:
        weights: source -> relative weight; sources with fixed epochs are not in it.
        tiers: factor of tiers; 1 for one that is not named.
        varieties: wanted shares.
    """

    by: By
    temperature: float
    weights: Mapping[str, float]
    tiers: Mapping[str, float]
    varieties: Mapping[str, float]
    caps: Sequence[Cap]


def rules_of(section: Mixture, phase: Phase | None, sources: Sequence[str]) -> Rules:
    """The mixture's own rules, with what ``phase`` puts in their place."""
    weights = {s: section.sources.get(s, Weight()) for s in sources}
    free = {s: weight.weight for s, weight in weights.items() if weight.epochs is None}
    tiers = section.tiers.weights if section.tiers else {}
    varieties = section.varieties.shares if section.varieties else {}
    if phase is None:
        return Rules(section.by, section.temperature, free, tiers, varieties, section.caps)
    free |= {s: weight.weight for s, weight in phase.sources.items() if s in free}
    return Rules(
        by=phase.by or section.by,
        temperature=phase.temperature or section.temperature,
        weights=free,
        tiers=tiers if phase.tiers is None else phase.tiers,
        varieties=varieties if phase.varieties is None else phase.varieties,
        caps=section.caps if phase.caps is None else phase.caps,
    )


def wanted_shares(units: Sequence[Unit], rules: Rules) -> dict[str, Fraction]:
    """Label -> wanted share; they sum to 1, and units that give nothing are left out.

    Raises:
        MixtureError: nothing is left, or a variety with a target share has no tokens.
    """
    strata: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for unit in units:
        size = unit.tokens * Fraction(rules.tiers.get(unit.stratum.tier, 1.0))
        if size and rules.weights.get(unit.source):
            strata[unit.source][unit.label] = size
    wanted: dict[str, Fraction] = {}
    for source, sizes in strata.items():
        whole = sum(sizes.values(), Fraction(0))
        part = Fraction(rules.weights[source]) * _power(whole, rules)
        wanted |= {label: part * size / whole for label, size in sizes.items()}
    total = sum(wanted.values(), Fraction(0))
    if not total:
        raise MixtureError("no source has both tokens and a weight above 0: nothing to train on")
    shares = {label: part / total for label, part in wanted.items()}
    varieties = {unit.label: unit.stratum.variety for unit in units}
    return _scaled_to_targets(shares, varieties, rules.varieties) if rules.varieties else shares


def _power(size: Fraction, rules: Rules) -> Fraction:
    if rules.by == "tokens":
        return size
    if rules.by == "weights":
        return Fraction(1)
    context = Context(prec=ROOT_DIGITS)
    base = context.divide(Decimal(size.numerator), Decimal(size.denominator))
    exponent = context.divide(Decimal(1), Decimal(rules.temperature))
    return Fraction(context.power(base, exponent))


def _scaled_to_targets(
    shares: Mapping[str, Fraction], varieties: Mapping[str, str], targets: Mapping[str, float]
) -> dict[str, Fraction]:
    now: dict[str, Fraction] = defaultdict(Fraction)
    for label, share in shares.items():
        now[varieties[label]] += share
    # A share is a decimal of the recipe, and not the binary number next to it.
    aims = {name: Fraction(str(share)) for name, share in targets.items()}
    if missing := sorted(name for name, aim in aims.items() if aim and not now.get(name)):
        raise MixtureError(
            f"{missing} should have a share, but no document of a weighted source has that "
            f"variety (there are {sorted(now)}): lower varieties.min_score or the share"
        )
    left = 1 - sum(aims.values(), Fraction(0))
    others = sum((share for name, share in now.items() if name not in aims), Fraction(0))
    if left > 0 and not others:
        raise MixtureError(
            f"the shares of varieties sum to {float(1 - left):g}, and there is no other variety "
            "to take the rest: let them sum to 1"
        )
    scaled = {}
    for label, share in shares.items():
        name = varieties[label]
        factor = aims[name] / now[name] if name in aims else left / others
        if factor > 0:
            scaled[label] = share * factor
    return scaled
