"""The corpus road of a recipe from its files to clean documents, made without Dagster.

    python -m tests.corpus.whole_road FOLDER

builds the road of ``tests.resources.two_sources`` in FOLDER, some stations with worker
processes: what the tests of killed builds start and kill.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path
from unittest import mock

from tagarela_dagster.corpus.engines import run
from tagarela_dagster.corpus.sources import registry
from tagarela_dagster.corpus.sources.pin import pin_snapshot
from tagarela_dagster.evals.benchmarks import pin_benchmarks
from tagarela_dagster.provenance.lake import WHOLE, Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.making import SNAPSHOT, Make, making
from tagarela_dagster.resources.road import Road
from tests.resources.two_sources import open_road

UNIT_BYTES = 10_000
"""Raw bytes of a unit, so that files of some kilobytes are shards of their own."""
IN_WORKERS = ("documents", "measured")
"""Stations that are made in two worker processes; each takes a second to start."""


def build(road: Road, in_workers: Collection[str] = ()) -> list[str]:
    """Make what is not fresh of the corpus; its names, in the order in which they were made."""
    made = []
    for asset, key in targets(road):
        if road.state(asset, key) != "fresh":
            workers = mock.patch.dict(os.environ, TAGARELA_WORKERS=str(1 + (asset in in_workers)))
            with workers, road.writing(asset, key) as writer:
                _make(road, asset, key)(writer)
            made.append(f"{asset}[{key}]" if key else asset)
        road.lake.sweep(asset, key)
    return made


def targets(road: Road) -> list[tuple[str, str | None]]:
    """Every partition between the sources' files and ``clean``, in the order of the flow."""
    found: list[tuple[str, str | None]] = [(road.source_of(key), key) for key in road.partitions]
    for asset, station in road.stations.items():
        if asset in SNAPSHOT:
            found += [(asset, key) for key in road.partitions]
        elif asset in ("benchmarks", "clusters", "repeats", *road.recipe.corpus.models.assets):
            assert station.scope == "whole"
            found.append((asset, None))
    return found


def _make(road: Road, asset: str, key: str | None) -> Make:
    if asset == "benchmarks":
        return partial(pin_benchmarks, tasks=road.recipe.evals.last_word)
    if key and asset == road.source_of(key):
        license_ = road.recipe.sources[asset].license
        return partial(pin_snapshot, files=road.files[key], license_=license_)
    return making(road, asset, key)


def published(lake: Lake) -> dict[str, Manifest]:
    """Every published partition of a lake, by its folder."""
    found = {}
    for folder in sorted(lake.root.glob("*/*")):
        asset, key = folder.parent.name, folder.name
        if manifest := lake.manifest(asset, None if key == WHOLE else key):
            found[f"{asset}/{key}"] = manifest
    return found


def cut_small(unit_bytes: int = UNIT_BYTES) -> None:
    """From now on, plan small units and give every stage with two of them worker processes."""
    registry.group_files = partial(registry.group_files, unit_bytes=unit_bytes)
    run.PARALLEL_BYTES = 0


if __name__ == "__main__":
    cut_small()
    build(open_road(Path(sys.argv[1])), IN_WORKERS)
