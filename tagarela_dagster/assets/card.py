"""What the page shows of the contamination report and of the corpus card."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import table
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.road import Road


def describe_contamination(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    """Items found, by task."""
    tasks = manifest.counts["tasks"]
    rows = [
        {
            "task": name,
            "items": task["items"],
            "searched": task["searched"],
            "found": task["contaminated"],
            "share": task["share"],
            "left": task["left"],
        }
        for name, task in tasks.items()
    ]
    found = sum(task["contaminated"] for task in tasks.values())
    return {"items_found": found, **({"tasks": table(rows)} if rows else {})}


def describe_card(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    """Sources, the picture of the ledger, and the card itself."""
    card, picture, sources = (
        road.lake.paths(manifest, name)[0] for name in ("README.md", "ledger.svg", "LEIAME.md")
    )
    svg = base64.b64encode(picture.read_bytes()).decode()
    return {
        "documents": manifest.counts["documents"],
        "megabytes": round(manifest.counts["bytes"] / 1e6, 3),
        "sources": table(manifest.counts["sources"]),
        "where_every_document_went": dg.MetadataValue.md(
            f"![ledger](data:image/svg+xml;base64,{svg})"
        ),
        "card": dg.MetadataValue.path(str(card)),
        "cartao": dg.MetadataValue.path(str(sources)),
    }
