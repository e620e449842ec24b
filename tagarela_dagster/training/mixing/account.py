"""Account: what training consumed, held against what the mixture planned, to the token.

A cell is a unit (source and stratum) in a phase. The loop counts tokens by cell while it trains;
the sampler says from the mixture alone what the first sequences hold. The two agree exactly, at
the end and after any step, or something else was trained on than was planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class AccountError(ValueError):
    """Plan and consumption differ; the message says where."""


@dataclass(frozen=True)
class Difference:
    """A cell whose consumption is not what was planned."""

    cell: str
    planned: int
    consumed: int


def planned_by_cell(plan: Mapping[str, Any]) -> dict[str, int]:
    """Cell -> planned tokens, of a whole plan (``plan.json``)."""
    return {row["cell"]: row["planned_tokens"] for row in plan["cells"]}


def compare(planned: Mapping[str, int], consumed: Mapping[str, int]) -> list[Difference]:
    """Cells that differ, by name; a missing cell counts as 0."""
    return [
        Difference(cell, planned.get(cell, 0), consumed.get(cell, 0))
        for cell in sorted(planned.keys() | consumed.keys())
        if planned.get(cell, 0) != consumed.get(cell, 0)
    ]


def reconcile(
    plan: Mapping[str, Any], consumed: Mapping[str, int], planned: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """The account of a run: rows of ``plan["cells"]`` with their ``consumed_tokens``.

    Args:
        plan: ``plan.json``.
        consumed: cell -> tokens, from the run's metrics.
        planned: cell -> tokens due so far (``Sampler.consumed``); none means the whole plan.

    Raises:
        AccountError: a cell consumed another number of tokens than is due.
    """
    due = planned_by_cell(plan) if planned is None else planned
    if differences := compare(due, consumed):
        told = "\n".join(
            f"  {d.cell}: {d.planned} tokens planned, {d.consumed} consumed" for d in differences
        )
        raise AccountError(
            f"training consumed other tokens than the mixture planned:\n{told}\n"
            "The mixture was made again while the run was trained, or its metrics were changed: "
            "train again from the beginning"
        )
    return [row | {"consumed_tokens": due.get(row["cell"], 0)} for row in plan["cells"]]


def by_source(plan: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, int]:
    """Tokens by source, from tokens by cell; sources without any are left out."""
    sources = {row["cell"]: row["source"] for row in plan["cells"]}
    sums: dict[str, int] = defaultdict(int)
    for cell, number in tokens.items():
        if number:
            sums[sources[cell]] += number
    return dict(sorted(sums.items()))
