"""What a plan says of itself: rows by source, unit and cell, and what to know before training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tagarela_dagster.recipe.mixture import Mixture, Weight
from tagarela_dagster.training.mixing.mixture_plan import Cell
from tagarela_dagster.training.mixing.survey import Unit
from tagarela_dagster.training.tokens.token_index import TokenShard

MANY_USES = 4
"""Up to about 4 epochs repeated text is nearly as good as new (arXiv 2305.16264)."""
MISSED_SHARE = 0.005
"""A wanted share that is missed by more is told."""


def unit_rows(units: Sequence[Unit], cells: Sequence[Cell], context: int) -> list[dict[str, Any]]:
    """A row for each unit: what there is, and what the whole run takes of it.

    ``documents`` different ones, ``uses`` and ``tokens`` of one epoch (repeats counted),
    ``most_uses`` of any of its documents over the run.
    """
    taken: dict[str, int] = defaultdict(int)
    for cell in cells:
        taken[cell.unit.label] += cell.sequences
    rows = []
    for unit in units:
        planned = taken[unit.label] * context
        epochs = planned / unit.tokens if unit.tokens else 0.0
        rows.append(
            {
                "unit": unit.label,
                "source": unit.source,
                "stratum": unit.stratum.label,
                "variety": unit.stratum.variety,
                "tier": unit.stratum.tier,
                "license": unit.stratum.license,
                "documents": unit.documents,
                "uses": unit.uses,
                "tokens": unit.tokens,
                "sequences": taken[unit.label],
                "planned_tokens": planned,
                "epochs": epochs,
                "most_uses": -(-planned // max(1, unit.tokens)) * unit.max_repeats,
            }
        )
    return rows


def source_rows(
    shards: Mapping[str, Sequence[TokenShard]],
    cells: Sequence[Cell],
    section: Mixture,
    context: int,
    sequences: int,
) -> list[dict[str, Any]]:
    """A row for each source: all its units and phases together.

    ``tokens`` as stored, ``epochs`` of them, ``wanted_share`` before any limit (None when the
    epochs are fixed), ``capped`` when a limit gave it less than that.
    """
    rows = []
    for name, found in sorted(shards.items()):
        mine = [cell for cell in cells if cell.unit.source == name]
        tokens = sum(shard.tokens for shard in found)
        given = sum(cell.sequences for cell in mine)
        rule = section.sources.get(name, Weight())
        fixed = rule.epochs is not None
        wanted = sum((_wanted(cell, cells) for cell in mine), Fraction(0))
        rows.append(
            {
                "name": name,
                "documents": sum(shard.documents for shard in found),
                "tokens": tokens,
                "weight": rule.weight,
                "max_epochs": rule.epochs if fixed else section.limit(name),
                "sequences": given,
                "planned_tokens": given * context,
                "epochs": given * context / max(1, tokens),
                "share": given / sequences,
                "wanted_share": None if fixed else float(wanted / sequences),
                "capped": not fixed and given < wanted - len(mine),
            }
        )
    return rows


def cell_rows(
    cells: Sequence[Cell], begun: Mapping[str, int], context: int
) -> list[dict[str, Any]]:
    """A row for each unit and phase that has a part: the table that training is held to.

    Args:
        begun: cell label -> document uses that begin in it.
    """
    lengths = _lengths(cells)
    return [
        {
            "cell": cell.label,
            "phase": cell.phase,
            "source": cell.unit.source,
            "stratum": cell.unit.stratum.label,
            "documents": begun[cell.label],
            "sequences": cell.sequences,
            "planned_tokens": cell.sequences * context,
            "epochs": cell.sequences * context / cell.unit.tokens,
            "share": cell.sequences / lengths[cell.phase],
            "wanted_share": None if cell.wanted is None else float(cell.wanted),
        }
        for cell in cells
        if cell.sequences
    ]


def warnings(
    units: Sequence[Unit], cells: Sequence[Cell], section: Mixture, context: int
) -> list[str]:
    """What the plan does that its reader may not expect, in sentences."""
    found = []
    for row in unit_rows(units, cells, context):
        if row["most_uses"] > MANY_USES and row["epochs"] > 0:
            found.append(
                f"{row['unit']}: {row['epochs']:.2f} epochs, a document up to "
                f"{row['most_uses']} times (over {MANY_USES}, repeated text teaches less: "
                "arXiv 2305.16264)"
            )
    lengths = _lengths(cells)
    used: dict[str, int] = defaultdict(int)
    for cell in cells:
        used[cell.unit.label] += cell.sequences
        missed = _wanted(cell, cells) - cell.sequences
        if missed <= 1 or missed <= MISSED_SHARE * lengths[cell.phase]:
            continue
        limit = int(Fraction(section.limit(cell.unit.source)) * cell.unit.tokens / context)
        reason = "its epochs are used up" if used[cell.unit.label] >= limit else "a cap is reached"
        share, wanted = cell.sequences / lengths[cell.phase], float(cell.wanted or 0)
        found.append(f"{cell.label}: {share:.2%} instead of the wanted {wanted:.2%}: {reason}")
    return found


def _wanted(cell: Cell, cells: Sequence[Cell]) -> Fraction:
    """Sequences that would have been the cell's without limits."""
    if cell.wanted is None:
        return Fraction(0)
    free = sum(c.sequences for c in cells if c.phase == cell.phase and c.wanted is not None)
    return cell.wanted * free


def _lengths(cells: Sequence[Cell]) -> dict[str, int]:
    lengths: dict[str, int] = defaultdict(int)
    for cell in cells:
        lengths[cell.phase] += cell.sequences
    return lengths
