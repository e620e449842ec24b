"""Benchmarks in use: read, checked, and pinned as one partition of the lake.

The corpus is decontaminated against these items, and scores are taken on them, so both see the
same bytes. A set built from held-out documents is not here: it is made after the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping

from tagarela_dagster.evals.items import write_items, write_rejected
from tagarela_dagster.evals.last_word import HELD_OUT, data_hash, load_items
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.evals import LastWord


def pin_benchmarks(writer: PartitionWriter, tasks: Mapping[str, LastWord]) -> Manifest:
    """Publish ``items/TASK.jsonl`` and, for rows that are no item, ``quarantine/TASK.jsonl``.

    Raises:
        ItemsError: a set is missing, has another hash than pinned, or no sound item.
    """
    shards, counts = [], {}
    for name, task in sorted(tasks.items()):
        if task.data == HELD_OUT:
            continue
        found = load_items(task)
        path = f"items/{name}.jsonl"
        shards.append(Shard.of(writer.data, path, write_items(found.items, writer.data / path)))
        if found.rejected:
            path = f"quarantine/{name}.jsonl"
            write_rejected(found.rejected, writer.data / path)
            shards.append(Shard.of(writer.data, path, len(found.rejected)))
        counts[name] = {
            "items": len(found.items),
            "rejected": found.reasons,
            "data": data_hash(task.data),
        }
    return writer.publish(shards, {"tasks": counts})
