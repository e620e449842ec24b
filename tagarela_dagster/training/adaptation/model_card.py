"""The card of a released model: where it comes from, under which licence, and how to use it.

A stub in the layout of the hub's model cards; scores are added by whoever has them. It names
stages, hashes and the base, and no place on the machine that made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.adaptation import Base, Release
from tagarela_dagster.training.adaptation.base import base_name


def lineage(recipe: Recipe, name: str) -> list[tuple[str, str]]:
    """(stage, what it is) of all stages that ``name`` comes from, in order, itself the last."""
    stages = recipe.training.in_order
    wanted, waiting = set(), [name]
    while waiting:
        stage = waiting.pop()
        if stage not in wanted:
            wanted.add(stage)
            waiting += stages[stage].parents
    return [(stage, _said(stages[stage])) for stage in stages if stage in wanted]


def model_card(recipe: Recipe, section: Release, facts: Mapping[str, Any]) -> str:
    """Markdown of README.md; ``facts`` are measured values, by name."""
    base = recipe.training.base
    head: dict[str, Any] = {
        "language": "pt",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": section.license,
    }
    if base and base.model and base.made is None:
        head["base_model"] = base_name(base)
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    stages = "\n".join(f"- `{name}`: {said}" for name, said in lineage(recipe, section.parent))
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        f"---\n{front}\n---\n\n# {recipe.name}: {section.parent}\n\n"
        f"Made with Tagarela from the recipe `{recipe.name}` (seed {recipe.seed}).\n\n"
        f"## Lineage\n\n{stages}\n\n## Facts\n\n| | |\n|---|---|\n{rows}\n"
    )


def write_card(folder: Path, text: str) -> None:
    """Write README.md."""
    (folder / "README.md").write_text(text, encoding="utf-8")


def _said(stage: Any) -> str:
    if isinstance(stage, Base):
        at = f" at `{stage.revision}`" if stage.revision else ""
        return f"base, {base_name(stage)}{at}"
    method = getattr(stage, "method", None)
    return f"{stage.kind}, {method}" if method else stage.kind
