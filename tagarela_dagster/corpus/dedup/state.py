"""Indexes that an earlier run left: taken over where a partition's inputs are as they were."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tagarela_dagster.corpus.dedup.index import FORMAT, Index, UnusableIndexError, open_index
from tagarela_dagster.corpus.dedup.index_build import Layout, build_index
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Shard, read_manifest
from tagarela_dagster.recipe.dedup import Dedup

REUSED, SORTED = "reused", "sorted"
Told = Callable[[str, str], None]


def index_identity(shards: Sequence[ShardInput], section: Dedup, layout: Layout) -> str:
    """What an index depends on: signatures, decisions, and which columns it has."""
    inputs = [[shard.name, *shard.hashes] for shard in shards]
    return fingerprint([FORMAT, section.minhash.as_json(), list(layout.columns), inputs])


class IndexStore:
    """The indexes of one run: those of the last publication, of a run that was killed, or new.

    Args:
        previous: partition folder of an earlier publication of clusters.
        told: called with each partition and what became of its index: ``reused``, ``sorted``, or
            ``unusable: why`` before it is sorted again.
    """

    def __init__(
        self,
        writer: PartitionWriter,
        section: Dedup,
        memory: int,
        previous: Path | None = None,
        told: Told | None = None,
    ) -> None:
        self.writer = writer
        self.section = section
        self.memory = memory
        self.told = told or _log
        self.shards: list[Shard] = []
        folder = previous or writer.folder
        manifest = read_manifest(folder)
        self._folder = folder / manifest.data_name if manifest else folder
        self._known = {s.path: s for s in manifest.select("state/")} if manifest else {}

    def get(self, partition: str, shards: Sequence[ShardInput], captures: bool) -> Index:
        """The index of a partition's signatures, at its place in the staging folder."""
        layout = Layout.of(self.section, captures)
        identity = index_identity(shards, self.section, layout)

        def build(path: Path, scratch: Path) -> Index:
            return build_index(path, identity, shards, self.section, layout, self.memory, scratch)

        return self.obtain(partition, identity, build)

    def obtain(self, partition: str, identity: str, build: Callable[[Path, Path], Index]) -> Index:
        """An index that is there under its identity, or that is built now.

        Args:
            build: given the path to write and a folder for temporary files.
        """
        name = f"state/{partition}.index"
        path = self.writer.data / name
        index = self._open(partition, path, identity)  # left by a run that was killed
        shard = None
        if index is None and self._take(partition, name, identity):
            index, shard = open_index(path, identity, trusted=True), self._known[name]
        if index is None:
            index = build(path, self.writer.staging / "runs")
            self.told(partition, SORTED)
        else:
            self.told(partition, REUSED)
        self.shards.append(shard or Shard.of(self.writer.data, name, index.documents))
        return index

    def _take(self, partition: str, name: str, identity: str) -> bool:
        source = self._folder / name
        if name not in self._known or self._open(partition, source, identity) is None:
            return False
        target = self.writer.data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)
        return True

    def _open(self, partition: str, path: Path, identity: str) -> Index | None:
        try:
            return open_index(path, identity)
        except FileNotFoundError:
            return None
        except (UnusableIndexError, OSError) as error:
            self.told(partition, f"unusable: {error}")
            return None


def _log(partition: str, what: str) -> None:
    logging.getLogger(__name__).debug(f"index of {partition}: {what}")
