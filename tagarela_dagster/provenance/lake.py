"""Lake: the folder tree that holds every published partition.

``<root>/<asset>/<partition>/manifest.json`` describes ``data-<hash>/`` beside it (assets without
partitions use the partition folder ``_``). A writer fills a staging folder whose name is derived
from what it will publish, so that a retry after ``kill -9`` finds finished shards and goes on;
publishing moves them into the data folder one by one and then writes the manifest. A publication
that is the same as the last one replaces what is damaged there, and hides nothing meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import flush
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.provenance.lease import Lease, LeaseHeldError
from tagarela_dagster.provenance.manifest import (
    MANIFEST_NAME,
    Manifest,
    Shard,
    has_size,
    read_manifest,
)

PARTITION_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
WHOLE = "_"
"""Folder name of an asset without partitions."""
STAGING = ".staging-"


class MissingPartitionError(LookupError):
    """An input was never published."""


class IncompleteError(RuntimeError):
    """What a writer wants to publish is not all there."""


@dataclass(frozen=True)
class PartitionWriter:
    """What a stage holds while it writes one partition.

    Attributes:
        staging: private folder; shards are written below ``staging / "data"``. Whatever else is
            put beside ``data`` (logs, completion marks) is thrown away on publish.
    """

    folder: Path
    staging: Path
    lease: Lease
    asset: str
    partition: str | None
    code_version: str
    section: dict[str, Any]
    inputs: dict[str, str]

    @property
    def data(self) -> Path:
        """Folder that the shards go to; shard paths are relative to it."""
        return self.staging / "data"

    def publish(self, shards: list[Shard], counts: Mapping[str, Any]) -> Manifest:
        """Make the partition visible.

        Raises:
            LeaseLostError: another writer took over.
            IncompleteError: a shard is neither staged nor, left by a writer that was killed while
                it published, in place.
        """
        manifest = Manifest(
            asset=self.asset,
            partition=self.partition,
            code_version=self.code_version,
            section=self.section,
            inputs=self.inputs,
            shards=tuple(sorted(shards, key=lambda shard: shard.path)),
            counts=dict(counts),
        )
        previous = read_manifest(self.folder)
        self.lease.check()
        self._settle(manifest)
        manifest.write(self.folder)
        keep = {manifest.data_name, previous.data_name if previous else ""}
        for child in self.folder.iterdir():
            stale_data = child.name.startswith("data-") and child.name not in keep
            if stale_data or child.name.startswith(STAGING):
                shutil.rmtree(child, ignore_errors=True)
        return manifest

    def _settle(self, manifest: Manifest) -> None:
        """Move the shards to their places, one by one: a reader, and a writer that takes up this
        work after a kill, find each of them whole at any moment."""
        final = self.folder / manifest.data_name
        final.mkdir(exist_ok=True)
        for shard in manifest.shards:
            if has_size(self.data / shard.path, shard.bytes):
                target = final / shard.path
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.data / shard.path).replace(target)
        if gone := manifest.missing(final):
            shutil.rmtree(self.staging, ignore_errors=True)
            raise IncompleteError(
                f"{self.folder} cannot be published: {gone[0].path} is not as it was written "
                f"({len(gone)} of {len(manifest.shards)} shards). What was staged is removed: "
                "materialize it again"
            )
        for folder in {final, *((final / shard.path).parent for shard in manifest.shards)}:
            flush(folder)


class Lake:
    """Read and write access to published partitions below ``root``."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def folder(self, asset: str, partition: str | None = None) -> Path:
        """Folder of a partition. Raises ValueError for a key that could leave the lake."""
        if partition is not None and not PARTITION_KEY.fullmatch(partition):
            raise ValueError(
                f"the partition key {partition!r} is not allowed: use letters, digits, "
                "'.', '_', '-' and '@', at most 128"
            )
        return self.root / asset / (partition or WHOLE)

    def manifest(self, asset: str, partition: str | None = None) -> Manifest | None:
        """The published manifest, or None."""
        return read_manifest(self.folder(asset, partition))

    def require(self, asset: str, partition: str | None = None) -> Manifest:
        """The published manifest. Raises MissingPartitionError when there is none."""
        manifest = self.manifest(asset, partition)
        if manifest is None:
            name = f"{asset}[{partition}]" if partition else asset
            raise MissingPartitionError(
                f"{name} has not been materialized yet: materialize it first"
            )
        return manifest

    def paths(self, manifest: Manifest, prefix: str = "") -> list[Path]:
        """Absolute paths of the shards of ``manifest`` below ``prefix``, in order."""
        data = self.folder(manifest.asset, manifest.partition) / manifest.data_name
        return [data / shard.path for shard in manifest.select(prefix)]

    def missing(self, manifest: Manifest) -> list[Path]:
        """Shards of ``manifest`` whose file is gone or has another size."""
        data = self.folder(manifest.asset, manifest.partition) / manifest.data_name
        return [data / shard.path for shard in manifest.missing(data)]

    def damaged(self, manifest: Manifest) -> list[Path]:
        """Shards of ``manifest`` whose file is gone or has another hash; reads all of them."""
        data = self.folder(manifest.asset, manifest.partition) / manifest.data_name
        return [data / shard.path for shard in manifest.damaged(data)]

    def data(self, asset: str, partition: str | None = None) -> Path:
        """Data folder of a published partition. Raises MissingPartitionError without one."""
        return self.folder(asset, partition) / self.require(asset, partition).data_name

    def sweep(self, asset: str, partition: str | None = None) -> None:
        """Remove what killed writers have staged for a partition that needs no more work."""
        folder = self.folder(asset, partition)
        if not any(folder.glob(f"{STAGING}*")):
            return
        try:
            with Lease(folder):
                for staging in folder.glob(f"{STAGING}*"):
                    shutil.rmtree(staging, ignore_errors=True)
        except LeaseHeldError:
            return  # somebody makes it again: the next publication sweeps

    def places(self, asset: str) -> list[str | None]:
        """Keys of the partitions of ``asset`` that have a manifest, sound or not, sorted; None
        for an asset without partitions."""
        names = sorted(path.parent.name for path in self.root.glob(f"{asset}/*/{MANIFEST_NAME}"))
        return [None if name == WHOLE else name for name in names]

    def partitions(self, asset: str) -> list[str]:
        """Keys of the published partitions of ``asset``, sorted."""
        folder = self.root / asset
        if not folder.is_dir():
            return []
        names = (child.name for child in folder.iterdir() if child.name != WHOLE)
        return sorted(name for name in names if self.manifest(asset, name) is not None)

    @contextmanager
    def write(
        self,
        asset: str,
        partition: str | None = None,
        *,
        code_version: str,
        section: dict[str, Any],
        inputs: Mapping[str, str],
    ) -> Iterator[PartitionWriter]:
        """Hold the lease of a partition and yield its writer.

        Args:
            inputs: name of each input ("filtered[oscar@2023-23]") -> hash of its manifest.

        Raises:
            LeaseHeldError: another live process writes the same partition.
        """
        folder = self.folder(asset, partition)
        identity = fingerprint([code_version, section, dict(inputs)])[:16]
        staging = folder / f"{STAGING}{identity}"
        with Lease(folder) as lease:
            (staging / "data").mkdir(parents=True, exist_ok=True)
            yield PartitionWriter(
                folder, staging, lease, asset, partition, code_version, section, dict(inputs)
            )
