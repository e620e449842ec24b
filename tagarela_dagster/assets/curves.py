"""Curves as small pictures: SVG in a data URI, which the page shows inline in Markdown.

The page shows Markdown inline below 1,000 characters, so a curve is 48 integer points at most.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import dagster as dg

WIDTH, HEIGHT, POINTS = 480, 96, 48


def sparkline(values: Sequence[float], label: str) -> dg.MarkdownMetadataValue:
    """A line through ``values`` (at least two), scaled to its own range."""
    every = max(1, -(-len(values) // POINTS))
    shown = [*values[::every]]
    if (len(values) - 1) % every:
        shown.append(values[-1])
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    step = WIDTH / max(1, len(shown) - 1)
    points = " ".join(
        f"{round(i * step)},{round(HEIGHT - 4 - (v - low) / span * (HEIGHT - 8))}"
        for i, v in enumerate(shown)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
        f'<polyline points="{points}" fill="none" stroke="#0a7" stroke-width="2"/></svg>'
    )
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{label}](data:image/svg+xml;base64,{encoded})")
