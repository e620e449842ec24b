"""Inputs of a partition: what its manifest must name to be fresh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.corpus.sources.pin import identify
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.tombstones import forgotten_in, read_tombstones
from tagarela_dagster.provenance.fingerprint import fingerprint, hash_file
from tagarela_dagster.provenance.lake import MissingPartitionError
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.recipe.adaptation import Base
from tagarela_dagster.recipe.models import MODEL_ASSETS
from tagarela_dagster.resources.stations import SOURCE

if TYPE_CHECKING:
    from tagarela_dagster.resources.road import Road


_OWN_FILE = {"clusters": "keep", "repeats": "cuts"}
"""Whole assets that have a file for each partition, and its folder."""


def inputs_of(road: Road, asset: str, partition: str | None) -> dict[str, str]:
    """Name of each input of a partition -> its hash, as they are now.

    Raises:
        MissingPartitionError: an input is not published.
        BlockedPartitionError: a gate holds an input back.
    """
    if asset in road.recipe.sources:
        return _source_inputs(road, partition or "")
    station = road.road[asset]
    inputs: dict[str, str] = {}
    for read in road.reads(asset):
        if read == SOURCE:
            name = road.source_of(partition or "")
            inputs[f"{name}[{partition}]"] = road.require(name, partition).hash
        elif road.road[read].scope == "whole":
            inputs |= _whole_input(road, read, partition)
        elif station.scope == "snapshot":
            inputs[f"{read}[{partition}]"] = road.require(read, partition).hash
        elif asset in MODEL_ASSETS:
            for key in training_partitions(road, asset).values():
                inputs[f"{read}[{key}]"] = road.require(read, key).hash
        else:
            manifests = road.published(read)
            if not manifests:
                raise MissingPartitionError(f"{read} has no partition yet: materialize it")
            inputs |= {f"{read}[{m.partition}]": m.hash for m in manifests}
    if asset == "documents":
        place = f"{road.home.root.name}/{partition}"
        forgotten = forgotten_in(read_tombstones(road.home.tombstones), place)
        inputs |= {"forgotten": forgotten} if forgotten else {}
    if asset == "benchmarks":
        inputs |= _benchmark_inputs(road)
    if asset in MODEL_ASSETS:
        for number, file in enumerate(road.recipe.corpus.models.data_of(asset)):
            inputs[f"data:{number}"] = hash_file(source_folder(file.path))
    if station.kind:
        inputs |= _stage_inputs(road, asset)
    if station.scope == "checkpoint":
        inputs["checkpoint"] = _checkpoint_input(road, partition or "")
    return inputs


def offered_files(road: Road, partition: str) -> list[RawFile]:
    """Raw files of a snapshot that must be read.

    Raises:
        MissingPartitionError: its source does not offer it any more. To publish what is left of
            it, nothing, would throw away what was read before.
    """
    if partition not in road.files:
        raise MissingPartitionError(
            f"{partition} must be read again, and its source does not offer it any more: bring its "
            f"files back, or take it out of the corpus: remove {road.lake.folder('*', partition)}"
        )
    return road.files[partition]


def training_partitions(road: Road, asset: str) -> dict[str, str]:
    """Training source of a model, as the recipe names it -> the partition that it stands for.

    A source stands for its first snapshot in order of names, so that the snapshots that come
    later leave the model, and with it everything that was measured, as it is.

    Raises:
        MissingPartitionError: a source has no snapshot yet.
    """
    found = {}
    for name in road.recipe.corpus.models.sources_of(asset):
        keys = [name] if "@" in name else road.lake.partitions(name)
        if not keys:
            raise MissingPartitionError(
                f"{asset} is trained on {name}, which has no snapshot yet: materialize {name}"
            )
        found[name] = keys[0]
    return found


def _whole_input(road: Road, asset: str, partition: str | None) -> dict[str, str]:
    """A whole asset as an input. Of ``clusters`` and ``repeats`` a partition reads only its own
    file, so a new snapshot leaves the partitions that it does not touch fresh."""
    manifest = road.require(asset)
    if asset not in _OWN_FILE or partition is None:
        return {asset: manifest.hash}
    for read in road.road[asset].reads:
        seen = road.lake.manifest(read, partition)
        if seen is None or manifest.inputs.get(f"{read}[{partition}]") != seen.hash:
            # Its file would be missing or of other documents: every duplicate would pass.
            raise MissingPartitionError(
                f"{asset} has not seen {read}[{partition}] as it is now: materialize {asset}"
            )
    own = manifest.select(f"{_OWN_FILE[asset]}/{partition}.parquet")
    return {f"{asset}[{partition}]": own[0].sha256 if own else "none"}


def _source_inputs(road: Road, partition: str) -> dict[str, str]:
    source = road.source_of(partition)
    if partition not in road.files:
        published = road.lake.manifest(source, partition)
        if published:
            return published.inputs
        raise MissingPartitionError(f"{partition} is not offered by its source any more")
    cache = road.lake.folder(source, partition) / "seen.json"
    return {"files": fingerprint([f.as_json() for f in identify(road.files[partition], cache)])}


def _checkpoint_input(road: Road, key: str) -> str:
    folder = road.checkpoints.get(key)
    if folder is None:
        raise MissingPartitionError(f"there is no checkpoint {key}: has its run been removed?")
    return hash_file(folder / MANIFEST_NAME)


def _stage_inputs(road: Road, name: str) -> dict[str, str]:
    """Files outside the lake that a training stage reads."""
    stage = road.recipe.training.all_stages[name]
    inputs = {f"data:{role}": hash_file(source_folder(p)) for role, p in stage.files.items()}
    if isinstance(stage, Base) and (folder := base_folder(stage)):
        files = [
            RawFile(path, path.relative_to(folder).as_posix(), path.stat().st_size)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        cache = road.lake.folder(name) / "seen.json"
        inputs["files"] = fingerprint([file.as_json() for file in identify(files, cache)])
    return inputs


def base_folder(base: Base) -> Path | None:
    """The local folder that a base model is in; None for one of the hub, or one that is made."""
    if base.made is not None or base.model is None:
        return None
    folder = source_folder(base.model)
    return folder if folder.is_dir() else None


def _benchmark_inputs(road: Road) -> dict[str, str]:
    from tagarela_dagster.evals.last_word import data_hash

    tasks = road.recipe.evals.last_word.items()
    return {f"data:{name}": data_hash(task.data) for name, task in tasks}
