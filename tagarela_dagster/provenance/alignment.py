"""Shards that lie row by row beside each other: the text of one asset, the decisions of another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest, Shard


class AlignmentError(ValueError):
    """Shards that must lie row by row beside each other do not."""


@dataclass(frozen=True)
class ShardInput:
    """What one rank reads.

    Attributes:
        name: of the shards, without suffix; the rank's outputs have it too.
        paths: one file for each input, aligned row by row.
        hashes: SHA-256 of each.
    """

    name: str
    paths: tuple[Path, ...]
    hashes: tuple[str, ...]


def shard_inputs(lake: Lake, *inputs: tuple[Manifest, str]) -> list[ShardInput]:
    """Shards of one or more manifests (with the prefix of their paths), matched by name.

    Raises:
        AlignmentError: one input has shards or rows that another has not.
    """
    named: list[dict[str, tuple[Path, Shard]]] = []
    for manifest, prefix in inputs:
        shards = zip(lake.paths(manifest, prefix), manifest.select(prefix), strict=True)
        named.append({path.stem: (path, shard) for path, shard in shards})
    for (manifest, _), other in zip(inputs, named, strict=True):
        for name in named[0].keys() | other.keys():
            rows = {table[name][1].rows if name in table else None for table in (named[0], other)}
            if len(rows) > 1:
                raise AlignmentError(
                    f"shard {name} of {manifest.asset}[{manifest.partition}] does not lie beside "
                    f"that of {inputs[0][0].asset}: materialize {manifest.asset} again"
                )
    return [
        ShardInput(
            name,
            tuple(table[name][0] for table in named),
            tuple(table[name][1].sha256 for table in named),
        )
        for name in sorted(named[0])
    ]
