"""Takedown: what is forgotten on request, where it stood, and removing what is left of it.

``forget`` writes tombstones (corpus/tombstones.py) into ``<TAGARELA_HOME>/tombstones.jsonl``, which
all recipes share. The partitions in which it stood become stale from ``documents`` on; a drive
makes them again without it, and ``sweep`` then removes what earlier publications left on disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.tombstones import (
    Target,
    Tombstone,
    Tombstones,
    add_tombstones,
    read_tombstones,
    sha256,
)
from tagarela_dagster.corpus.trace import locate
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.lease import Lease, LeaseHeldError
from tagarela_dagster.provenance.manifest import read_manifest
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.road import Road

SWEPT = "swept.json"
"""In a recipe's home: which tombstones nothing is left of."""


@dataclass(frozen=True)
class Forgotten:
    """What ``forget`` did.

    Attributes:
        places: "HOME/PARTITION" -> ids of the documents found there.
        copies: ids of documents in the same clusters that were not meant, and stay.
        taken: ids of those that were forgotten with it.
        models: run folders of trainings that read a partition it stood in.
    """

    target: Target
    places: dict[str, list[str]]
    copies: list[str]
    taken: list[str]
    models: list[str]


def forget(home: Home, name: str, *, with_copies: bool = False) -> Forgotten:
    """Write the tombstone of an id, URL, host or SHA-256 of a text.

    Args:
        with_copies: forget the exact and near duplicates of every document found as well.

    Raises:
        TombstoneError: ``name`` is none of the four.
    """
    target = Target.parse(name)
    # First of all, so that whoever begins to read from here on leaves it out.
    add_tombstones(home.tombstones, [Tombstone(target.kind, target.sha256)])
    unfinished = {place for other in homes(home) for place in _unfinished(other)}
    places: dict[str, list[str]] = {}
    copies: dict[str, set[str]] = {}
    for other in homes(home):
        for key, found in _found(other, target).items():
            places[f"{other.root.name}/{key}"] = found
        for key, ids in _copies(other, places).items():
            copies.setdefault(f"{other.root.name}/{key}", set()).update(ids)
    stood = tuple(sorted({*places, *unfinished}))
    tombstones = [Tombstone(target.kind, target.sha256, found=stood)]
    if target.kind == "text":
        # A hash of the text as it is now says nothing to a reader of the raw file: its id does.
        tombstones += _by_id(places)
    if with_copies:
        tombstones += _by_id(copies)
    add_tombstones(home.tombstones, tombstones)
    others = sorted({name for ids in copies.values() for name in ids})
    left, taken = ([], others) if with_copies else (others, [])
    return Forgotten(target, places, left, taken, sorted(_models(home, places)))


def homes(home: Home) -> Iterator[Home]:
    """Every recipe's home below the same TAGARELA_HOME."""
    base = home.root.parent
    for folder in sorted(base.iterdir()) if base.is_dir() else []:
        if (folder / "lake").is_dir():
            yield Home(folder)


def tombstones_of(home: Home) -> Tombstones:
    """Everything that readers must leave out."""
    return Tombstones.of(read_tombstones(home.tombstones))


def unswept(road: Road) -> list[Tombstone]:
    """Tombstones whose remains are still to be removed from this recipe's home."""
    done = _swept(road.home)
    place = f"{road.home.root.name}/"
    return [
        tombstone
        for tombstone in read_tombstones(road.home.tombstones)
        if [tombstone.kind, tombstone.sha256, list(tombstone.found)] not in done
        and any(found.startswith(place) for found in tombstone.found)
    ]


def affected(road: Road, tombstones: Sequence[Tombstone]) -> list[str]:
    """Partitions of this recipe in which what was forgotten stood."""
    place = f"{road.home.root.name}/"
    found = {name for t in tombstones for name in t.found if name.startswith(place)}
    return sorted(name.removeprefix(place) for name in found)


def is_rebuilt(road: Road, partitions: Sequence[str]) -> bool:
    """Whether everything that held text of these partitions has been made again.

    Trainings hold none: what they learned stays until their run folders are removed.
    """
    for asset, station in road.stations.items():
        if station.scope == "checkpoint" or station.kind:
            continue
        keys: Sequence[str | None] = partitions if station.scope == "snapshot" else [None]
        for key in keys:
            if road.lake.manifest(asset, key) and road.state(asset, key) != "fresh":
                return False
    return True


def sweep(road: Road) -> bool:
    """Remove data that no manifest names, and what writers that are gone have staged; trainings,
    which may take days, are passed over.

    Returns:
        False when another process was writing somewhere, whose folder stays as it is.
    """
    done = True
    for folder in sorted(road.home.lake.glob("*/*")):
        if folder.parent.name in road.recipe.training.all_stages or not folder.is_dir():
            continue
        try:
            with Lease(folder):
                manifest = read_manifest(folder)
                named = manifest.data_name if manifest else None
                for child in [*folder.glob("data-*"), *folder.glob(".staging-*")]:
                    if child.name != named:
                        shutil.rmtree(child)
        except LeaseHeldError:
            done = False
    return done


def remove_scores(road: Road) -> list[str]:
    """Remove scores of items that have changed since: they hold passages of held-out documents.

    Returns:
        Checkpoints that are to be scored again.
    """
    stale = [key for key in road.lake.partitions("scores") if road.state("scores", key) != "fresh"]
    for key in stale:
        shutil.rmtree(road.lake.folder("scores", key))
    return stale


def mark_swept(road: Road, tombstones: Sequence[Tombstone]) -> None:
    """Note that nothing is left of these in this recipe's home."""
    rows = [[t.kind, t.sha256, list(t.found)] for t in tombstones]
    with atomic_write(road.home.root / SWEPT) as file:
        json.dump([*_swept(road.home), *rows], file)


def _unfinished(home: Home) -> Iterator[str]:
    """Partitions of which a part has been read and not been published: it may be in that part."""
    for staging in home.lake.glob("documents/*/.staging-*"):
        yield f"{home.root.name}/{staging.parent.name}"


def _found(home: Home, target: Target) -> dict[str, list[str]]:
    lake = Lake(home.lake)
    found: dict[str, dict[str, None]] = {}
    for place in locate(lake, target, lake.partitions("documents")):
        found.setdefault(place.partition, {})[place.id] = None
    return {partition: list(ids) for partition, ids in found.items()}


def _copies(home: Home, places: dict[str, list[str]]) -> dict[str, set[str]]:
    """Other members of the clusters of the documents found: partition -> ids."""
    import pyarrow.parquet as pq

    lake = Lake(home.lake)
    manifest = lake.manifest("clusters")
    ids = {name for place, found in places.items() for name in found}
    others: dict[str, set[str]] = {}
    for path in lake.paths(manifest, "clusters.parquet") if manifest and ids else []:
        ours = pq.read_table(path, columns=["cluster"], filters=[("id", "in", sorted(ids))])
        names = sorted(set(ours.column("cluster").to_pylist()))
        if not names:
            continue
        columns = ["id", "partition"]
        members = pq.read_table(path, columns=columns, filters=[("cluster", "in", names)])
        for row in members.to_pylist():
            if row["id"] not in ids:
                others.setdefault(row["partition"], set()).add(row["id"])
    return others


def _by_id(places: dict[str, list[str]] | dict[str, set[str]]) -> list[Tombstone]:
    by_id: dict[str, set[str]] = {}
    for place, ids in places.items():
        for name in ids:
            by_id.setdefault(name, set()).add(place)
    return [
        Tombstone("id", sha256(name), found=tuple(sorted(found)))
        for name, found in sorted(by_id.items())
    ]


def _models(home: Home, places: dict[str, list[str]]) -> Iterator[str]:
    """Trainings of the recipes in which it was found: they may have learned it."""
    for name in sorted({place.partition("/")[0] for place in places}):
        for folder in sorted((home.root.parent / name / "runs").glob("*/*")):
            yield str(folder)


def _swept(home: Home) -> list[Any]:
    path: Path = home.root / SWEPT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
