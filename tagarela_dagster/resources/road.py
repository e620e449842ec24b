"""Road: identity and freshness of every partition, from the recipe and the lake alone.

A partition is fresh when its manifest names the code version and the input hashes that the
recipe and the lake give now. Dagster's own staleness says the same (code versions and data
versions come from here), but this needs no instance, no event log and no web server.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.sources.discover import snapshots
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.provenance.alignment import ShardInput, shard_inputs
from tagarela_dagster.provenance.fingerprint import code_version, fingerprint
from tagarela_dagster.provenance.lake import Lake, MissingPartitionError, PartitionWriter
from tagarela_dagster.provenance.manifest import MANIFEST_NAME, Manifest
from tagarela_dagster.recipe.load import SCALE_VARIABLE, SOURCES_VARIABLE, load_recipe
from tagarela_dagster.recipe.model import PER_SOURCE, Recipe
from tagarela_dagster.recipe.models import MODEL_ASSETS
from tagarela_dagster.recipe.stage import BASE
from tagarela_dagster.resources.gates import GATES, Gate
from tagarela_dagster.resources.gates_training import STAGE_GATES
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.inputs import inputs_of
from tagarela_dagster.resources.stations import DOCUMENT_STAGES, SOURCE, Station, with_stages

SOURCE_LOGIC = "1"
RUN_NAME_LENGTH = 12


class BlockedPartitionError(RuntimeError):
    """A gate between stages holds an input back; the message says which and why."""


@dataclass(frozen=True)
class Identity:
    """What decides the bytes of a partition."""

    code_version: str
    section: dict[str, Any]
    inputs: dict[str, str]


class Road:
    """The recipe laid over the lake."""

    def __init__(self, recipe: Recipe, home: Home) -> None:
        self.recipe = recipe
        self.home = home
        self.lake = Lake(home.lake)

    @classmethod
    def from_environment(cls) -> Road:
        """Road of what TAGARELA_RECIPE, TAGARELA_SCALE and TAGARELA_SOURCES name."""
        recipe = load_recipe(sources=os.environ.get(SOURCES_VARIABLE))
        return cls(recipe, Home.of(recipe.name, os.environ.get(SCALE_VARIABLE) or "full"))

    @cached_property
    def road(self) -> dict[str, Station]:
        """Every station that there is, in order, whether the recipe asks for it or not."""
        return with_stages(self.recipe.training)

    @property
    def stations(self) -> dict[str, Station]:
        """Stations that the recipe asks for, in order."""
        left_out = set(MODEL_ASSETS) - set(self.recipe.corpus.models.assets)
        left_out |= set() if self.recipe.corpus.dedup.repeats.enabled else {"repeats"}
        return {name: station for name, station in self.road.items() if name not in left_out}

    def reads(self, asset: str) -> tuple[str, ...]:
        """What a station reads, of the stations that the recipe asks for."""
        known = {SOURCE, *self.stations}
        if asset == "mixture" and not self.recipe.tokens.rehydration.enabled:
            known -= {"clusters"}
        reads = self.road[asset].reads
        if asset == "tokenizer" and self.recipe.tokens.tokenizer.kind == BASE:
            reads = (BASE,)
        return tuple(read for read in reads if read in known)

    @cached_property
    def files(self) -> dict[str, list[RawFile]]:
        """Raw files of every snapshot that the sources offer now: partition -> files."""
        return {
            f"{name}@{snapshot}": files
            for name, source in self.recipe.sources.items()
            for snapshot, files in snapshots(source).items()
        }

    @property
    def partitions(self) -> list[str]:
        """Every (source, snapshot) offered now or published before, sorted."""
        return sorted({*self.published_partitions, *self.files})

    @property
    def published_partitions(self) -> list[str]:
        """Every (source, snapshot) that was pinned, sorted; asks no source's folder."""
        return sorted({p for name in self.recipe.sources for p in self.lake.partitions(name)})

    def section(self, asset: str, partition: str | None) -> dict[str, Any]:
        """Recipe section of one partition, of its own source alone where the asset has that."""
        own = self.source_of(partition) if partition and asset in PER_SOURCE else None
        return self.recipe.section(asset, own)

    def source_of(self, partition: str) -> str:
        """Name of a partition's source. Raises KeyError for one the recipe does not have."""
        name = partition.partition("@")[0]
        if name not in self.recipe.sources:
            known = ", ".join(self.recipe.sources)
            raise KeyError(f"{partition} is of no source of this recipe; sources: {known}")
        return name

    def version(self, asset: str, partition: str | None = None) -> str:
        """Code version of an asset, or of one of its partitions."""
        logic = self.road[asset].logic if asset in self.road else SOURCE_LOGIC
        return code_version(self.section(asset, partition), logic)

    def identity(self, asset: str, partition: str | None = None) -> Identity:
        """What the partition would be made of now.

        Raises:
            MissingPartitionError: an input is not published.
        """
        return Identity(
            self.version(asset, partition),
            self.section(asset, partition),
            inputs_of(self, asset, partition),
        )

    def state(self, asset: str, partition: str | None = None) -> str:
        """``fresh``, ``missing``, or why the partition is stale."""
        manifest = self.lake.manifest(asset, partition)
        if manifest is None:
            return "missing"
        try:
            now = self.identity(asset, partition)
        except (MissingPartitionError, BlockedPartitionError) as error:
            return f"stale: {error}"
        if manifest.code_version != now.code_version:
            return "stale: the recipe or the code has changed"
        if gone := self.lake.missing(manifest):
            return f"stale: {gone[0].name} is missing or damaged"
        changed = sorted(
            name
            for name in manifest.inputs.keys() | now.inputs.keys()
            if manifest.inputs.get(name) != now.inputs.get(name)
        )
        return f"stale: {', '.join(changed[:3])} changed" if changed else "fresh"

    @contextmanager
    def writing(self, asset: str, partition: str | None = None) -> Iterator[PartitionWriter]:
        """Hold the partition's lease and yield its writer."""
        now = self.identity(asset, partition)
        with self.lake.write(
            asset,
            partition,
            code_version=now.code_version,
            section=now.section,
            inputs=now.inputs,
        ) as writer:
            yield writer

    def published(self, asset: str) -> list[Manifest]:
        """Manifests of all partitions of ``asset`` that may go on, in order of their keys."""
        found = (self.lake.manifest(asset, key) for key in self.published_partitions)
        return [m for m in found if m and not self.blocked(asset, m.partition)]

    def blocked(self, asset: str, partition: str | None) -> str | None:
        """Why a published partition, or one that it was made from, must not go on; None if it
        may. Gates are judged from manifests, so a block outlives the run that found it."""
        manifest = self.lake.manifest(asset, partition)
        if manifest:
            for name, gate in self.gates(asset).items():
                verdict = gate(self.lake, manifest)
                if not verdict.passed:
                    return f"{asset}[{partition}] fails {name}: {verdict.sentence}"
        station = self.road.get(asset)
        for read in station.reads if station and station.scope == "snapshot" else ():
            if read != SOURCE and self.road[read].scope == "snapshot":
                reason = self.blocked(read, partition)
                if reason:
                    return reason
        return None

    def gates(self, asset: str) -> dict[str, Gate]:
        """Gates of an asset by name: its own, or those of its kind of training stage."""
        station = self.road.get(asset)
        if station and station.kind:
            return STAGE_GATES.get(station.kind, {})
        return GATES.get(asset, {})

    def require(self, asset: str, partition: str | None = None) -> Manifest:
        """The published manifest of an input that may go on.

        Raises:
            MissingPartitionError: it is not published.
            BlockedPartitionError: a gate holds it back.
        """
        manifest = self.lake.require(asset, partition)
        if reason := self.blocked(asset, partition):
            raise BlockedPartitionError(reason)
        return manifest

    def kept_shards(self, asset: str, partition: str) -> list[Path]:
        """Shards of kept documents of a partition; empty when it is not published yet."""
        manifest = self.lake.manifest(asset, partition)
        return self.lake.paths(manifest, "kept/") if manifest else []

    def beside(self, partition: str, *inputs: tuple[str, str]) -> list[ShardInput]:
        """Shards of a partition of several assets (asset, prefix), row by row beside each other.

        Empty when one is not published yet: the road says so before anything is written.
        """
        manifests = [self.lake.manifest(asset, partition) for asset, _ in inputs]
        prefixes = [prefix for _, prefix in inputs]
        found = [(m, prefix) for m, prefix in zip(manifests, prefixes, strict=True) if m]
        return shard_inputs(self.lake, *found) if len(found) == len(inputs) else []

    def ledgers(self) -> list[Ledger]:
        """Accounts of every published partition, in order of stages and partitions."""
        found = (
            self.lake.manifest(stage, key)
            for stage in DOCUMENT_STAGES
            for key in self.published_partitions
        )
        return [Ledger.from_json(m.counts["ledger"]) for m in found if m]

    def newest_scores(self) -> tuple[str | None, list[dict[str, Any]]]:
        """Newest checkpoint that has scores, and its rows."""
        for key, folder in sorted(
            self.checkpoints.items(), key=lambda item: item[1].stat().st_mtime, reverse=True
        ):
            manifest = self.lake.manifest("scores", key)
            if manifest and folder.exists():
                path = self.lake.paths(manifest, "scores.json")[0]
                return key, json.loads(path.read_text(encoding="utf-8"))
        return None, []

    def run_folder(self, asset: str) -> Path:
        """Run folder of the training that the recipe and the lake ask for now."""
        now = self.identity(asset)
        name = fingerprint([now.code_version, now.inputs])[:RUN_NAME_LENGTH]
        return self.home.runs / asset / name

    @property
    def checkpoints(self) -> dict[str, Path]:
        """Published checkpoints of every training run: partition key -> folder."""
        found = self.home.runs.glob(f"*/*/checkpoints/*/{MANIFEST_NAME}")
        return {
            f"{p.parents[2].name}-{p.parent.name}": p.parent
            for p in sorted(found)
            if (p.parent / "model").is_dir()
        }

    @property
    def own_checkpoints(self) -> list[str]:
        """Checkpoints of the runs that the recipe and the lake ask for now."""
        runs = set()
        for name in self.recipe.training.all_stages:
            # A stage whose parents are not there yet has no run, and so no checkpoint.
            with suppress(MissingPartitionError, BlockedPartitionError):
                runs.add(self.run_folder(name).name)
        return [key for key in self.checkpoints if key.partition("-")[0] in runs]
