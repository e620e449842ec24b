"""Rows as a table of a page, between two marks; the text around them is a person's."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write

END = "<!-- end of rows -->"


def write_table(page: Path, target: str, rows: Sequence[dict[str, Any]], below: str = "") -> None:
    """Put the rows between the marks of the page.

    Args:
        target: of the Makefile, which the first mark names.
        below: what is to stand under the table, in Markdown.

    Raises:
        ValueError: the page has no marks.
    """
    begin = f"<!-- rows: written by make {target} -->"
    text = page.read_text(encoding="utf-8")
    if begin not in text or END not in text:
        raise ValueError(f"{page} has lost its marks: it needs a line '{begin}' and one '{END}'")
    before, _, rest = text.partition(begin)
    after = rest.partition(END)[2]
    with atomic_write(page) as file:
        file.write(f"{before}{begin}\n\n{machine()}\n\n{table(rows)}\n{below}{END}{after}")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| what | value | peer | peer's | ratio | agreement | target |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        note = f"<br><small>{row['note']}</small>" if row.get("note") else ""
        cells = (
            row["name"] + note,
            f"{row['value']} {row['unit']}",
            row.get("peer", ""),
            row.get("peer_value", ""),
            row.get("ratio", ""),
            row.get("agreement", ""),
            _target(row),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """One line on what the rows were measured with."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "unknown processor",
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}."


def _target(row: dict[str, Any]) -> str:
    if "target" not in row:
        return ""
    sign = "≥" if row["at_least"] else "≤"
    return f"{row['judged']} {sign} {row['target']}: {'met' if row['met'] else 'missed'}"
