"""How many sequences each source gives: shares, epochs, and a plan that sums exactly.

A source's share follows its tokens times its weight, or its weight alone (GlórIA). A source that
would be repeated more than ``max_epochs`` is cut to that, and what it cannot give goes to the
others in proportion. Arithmetic is exact (fractions), so the plan is the same everywhere. When
all sources together cannot fill the plan within their epochs, that is an error that says what to
change: repeating more than the recipe allows is never silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from tagarela_dagster.recipe.tokens import Mixture, Weight


class MixtureError(ValueError):
    """The sources cannot give the planned sequences; the message says what to change."""


@dataclass(frozen=True)
class SourcePlan:
    """One source's part.

    Attributes:
        documents, tokens: what there is.
        sequences: planned sequences of ``context`` tokens.
        planned_tokens: ``sequences * context``.
        epochs: ``planned_tokens / tokens``.
        share: of all planned tokens.
        wanted_share: the share before any cap on epochs.
        capped: True when ``max_epochs`` cut the source down.
    """

    name: str
    documents: int
    tokens: int
    weight: float
    max_epochs: float
    sequences: int
    planned_tokens: int
    epochs: float
    share: float
    wanted_share: float
    capped: bool

    def as_json(self) -> dict[str, Any]:
        """JSON form, as in plan.json."""
        return asdict(self)


def plan_sources(
    available: Mapping[str, tuple[int, int]], section: Mixture, context: int, sequences: int
) -> list[SourcePlan]:
    """Divide ``sequences`` sequences of ``context`` tokens over the sources.

    Args:
        available: source -> (documents, tokens).

    Returns:
        Plans in order of source name; sources with weight 0 or without tokens have 0 sequences.

    Raises:
        MixtureError: no source has a weight and tokens, or the sources cannot fill the plan within
            their epochs.
    """
    names = sorted(available)
    weights = {name: section.sources.get(name, Weight()).weight for name in names}
    wanted = {name: _wanted(available[name][1], weights[name], section.by) for name in names}
    total = sum(wanted.values())
    if not total:
        raise MixtureError("no source has both tokens and a weight above 0: nothing to train on")
    caps = {
        name: int(Fraction(section.limit(name)) * available[name][1] / context)
        for name in names
        if wanted[name]
    }
    if sum(caps.values()) < sequences:
        raise MixtureError(_shortage(available, section, caps, context, sequences))
    given = _divide(sequences, {n: wanted[n] for n in caps}, caps)
    return [
        SourcePlan(
            name=name,
            documents=available[name][0],
            tokens=available[name][1],
            weight=weights[name],
            max_epochs=section.limit(name),
            sequences=given.get(name, 0),
            planned_tokens=given.get(name, 0) * context,
            epochs=given.get(name, 0) * context / max(1, available[name][1]),
            share=given.get(name, 0) / sequences,
            wanted_share=float(wanted[name] / total),
            capped=name in caps and caps[name] < wanted[name] / total * sequences,
        )
        for name in names
    ]


def _wanted(tokens: int, weight: float, by: str) -> Fraction:
    if not tokens:
        return Fraction(0)
    return Fraction(weight) * tokens if by == "tokens" else Fraction(weight)


def _divide(total: int, wanted: Mapping[str, Fraction], caps: Mapping[str, int]) -> dict[str, int]:
    """Integers that sum to ``total``, in proportion to ``wanted``, each at most its cap."""
    exact: dict[str, Fraction] = {}
    left = Fraction(total)
    remaining = sorted(wanted)
    while remaining:
        whole = sum(wanted[name] for name in remaining)
        over = [n for n in remaining if left * wanted[n] / whole >= caps[n]]
        if not over:
            exact.update({n: left * wanted[n] / whole for n in remaining})
            break
        exact.update({n: Fraction(caps[n]) for n in over})
        left -= sum(caps[n] for n in over)
        remaining = [n for n in remaining if n not in over]
    given = {name: int(value) for name, value in exact.items()}
    # Largest remainders first, then the name.
    order = sorted(exact, key=lambda n: (given[n] - exact[n], n))
    for name in order[: total - sum(given.values())]:
        given[name] += 1
    return given


def _shortage(
    available: Mapping[str, tuple[int, int]],
    section: Mixture,
    caps: Mapping[str, int],
    context: int,
    sequences: int,
) -> str:
    reachable = sum(caps.values())
    usable = sum(available[name][1] for name in caps)
    needed = sequences * context
    # Each source may lose up to a sequence to whole numbers.
    epochs = (needed + len(caps) * context) / usable
    lines = [
        f"the plan needs {needed} tokens ({sequences} sequences of {context}), the sources give "
        f"{reachable * context} within their epochs:"
    ]
    lines += [
        f"  {name}: {available[name][1]} tokens x {section.limit(name):g} epochs" for name in caps
    ]
    lines.append(
        f"Add text, raise tokens.mixture.max_epochs (about {epochs:.1f} fill it when no "
        f"source has a limit of its own), or lower training.pretrain.steps to "
        f"{100 * reachable // sequences}% of what it is."
    )
    return "\n".join(lines)
