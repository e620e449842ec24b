"""The ledger as a Sankey picture: documents from their sources through every stage, in SVG.

Widths are documents. Each stage shows its most common reasons, the rest together, so that what
flows in is what flows on plus what leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tagarela_dagster.corpus.ledger import Ledger

WIDTH, HEIGHT = 1030, 520
TOP, LEFT, NODE = 34, 150, 12
GAP = 4
REASONS_SHOWN = 4
SOURCES_SHOWN = 12
KEPT, LEAVES, TEXT = "#2f8f6b", "#c9742f", "#555"


def sankey(ledgers: Iterable[Ledger]) -> str:
    """SVG of accounts of one or more partitions, in order of stages; stages that drop nothing and
    only edit are left out. Empty without documents."""
    accounts = list(ledgers)
    stages = _stages(accounts)
    if not stages or not stages[0].documents_in:
        return ""
    scale = (HEIGHT - 2 * TOP - GAP * SOURCES_SHOWN) / stages[0].documents_in
    step = (WIDTH - LEFT - 80) / len(stages)
    parts = [*_sources(accounts, stages[0].stage, scale)]
    for index, stage in enumerate(stages):
        parts += _stage(stage, LEFT + index * step, step, scale, is_last=index == len(stages) - 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" '
        f'fill="{TEXT}">{"".join(parts)}</svg>'
    )


def _stages(accounts: Sequence[Ledger]) -> list[Ledger]:
    totals: dict[str, Ledger] = {}
    for account in accounts:
        totals.setdefault(account.stage, Ledger(account.stage, "all", "all")).add(account)
    return [s for i, s in enumerate(totals.values()) if i == 0 or s.dropped or s.stage == "clean"]


def _sources(accounts: Sequence[Ledger], stage: str, scale: float) -> Iterable[str]:
    """Bands from the sources into the first stage, largest first."""
    sizes: dict[str, int] = {}
    for account in accounts:
        if account.stage == stage:
            sizes[account.source] = sizes.get(account.source, 0) + account.documents_in
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ordered[:SOURCES_SHOWN], ordered[SOURCES_SHOWN:]
    if rest:
        shown.append((f"{len(rest)} more", sum(size for _, size in rest)))
    out, into = float(TOP), float(TOP)
    for name, size in shown:
        height = size * scale
        yield _band(10 + NODE, out, LEFT, into, height, KEPT)
        yield _label(30, out + max(height, 10) / 2 + 4, f"{name} {size:,}")
        out += max(height, 14) + GAP
        into += height


def _stage(stage: Ledger, x: float, step: float, scale: float, is_last: bool) -> Iterable[str]:
    """A stage's node, the band of what is kept, and a band for each reason that is shown."""
    kept = stage.documents_kept * scale
    yield _node(x, TOP, stage.documents_in * scale, KEPT)
    yield _label(x, TOP - 10, f"{stage.stage} {stage.documents_in:,}", bold=True)
    yield _band(x + NODE, TOP, x + step, TOP, kept, KEPT)
    if is_last:
        yield _node(x + step, TOP, kept, KEPT)
        yield _label(x + step + 18, TOP + kept / 2 + 4, f"{stage.documents_kept:,}", bold=True)
    ordered = sorted(stage.dropped.items(), key=lambda item: (-item[1].documents, item[0]))
    shown = [(reason, tally.documents) for reason, tally in ordered[:REASONS_SHOWN]]
    if rest := ordered[REASONS_SHOWN:]:
        shown.append((f"{len(rest)} more reasons", sum(t.documents for _, t in rest)))
    y = TOP + kept
    landing = HEIGHT - 18.0 - 16 * len(shown) - sum(size for _, size in shown) * scale / 4
    for reason, size in shown:
        height = size * scale
        target = max(landing, y + 24)
        yield _band(x + NODE, y, x + step * 0.42, target, height, LEAVES, end=max(height / 4, 1.5))
        yield _label(x + step * 0.42 + 4, target + max(height / 8, 1) + 4, f"{reason} {size:,}")
        y += height
        landing = target + max(height / 4, 15)


def _node(x: float, y: float, height: float, colour: str) -> str:
    size = max(height, 1)
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{NODE}" height="{size:.1f}" fill="{colour}"/>'


def _band(
    x: float,
    y: float,
    to_x: float,
    to_y: float,
    height: float,
    colour: str,
    end: float | None = None,
) -> str:
    middle = (x + to_x) / 2
    last = max(height if end is None else end, 0.6)
    height = max(height, 0.6)
    path = (
        f"M{x:.1f},{y:.1f}C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
        f"v{last:.1f}C{middle:.1f},{to_y + last:.1f} {middle:.1f},{y + height:.1f} "
        f"{x:.1f},{y + height:.1f}Z"
    )
    return f'<path d="{path}" fill="{colour}" fill-opacity=".32"/>'


def _label(x: float, y: float, text: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{weight}>{escape(text)}</text>'
