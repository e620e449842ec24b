"""Partitions of the graph.

A partition of the corpus is ``source@snapshot``; a source's own snapshots carry the same keys in
a set of their own, so that its page shows only what is its. New ones are added when they are
discovered: by the nightly refresh, by ``tagarela ui``, and before every run of a job.
"""

from __future__ import annotations

import dagster as dg

from tagarela_dagster.resources.road import Road

CORPUS = dg.DynamicPartitionsDefinition(name="corpus")
CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoints")


def snapshots_of(source: str) -> dg.DynamicPartitionsDefinition:
    """Snapshots of one source; keys are whole partition keys (``oscar@2023-06``)."""
    return dg.DynamicPartitionsDefinition(name=source)


def register(instance: dg.DagsterInstance, road: Road) -> list[str]:
    """Add partitions for snapshots and checkpoints that the instance does not know yet.

    Returns:
        The keys of the new snapshots.
    """
    known = set(instance.get_dynamic_partitions("corpus"))
    new = [key for key in road.partitions if key not in known]
    for key in new:
        instance.add_dynamic_partitions(road.source_of(key), [key])
    if new:
        instance.add_dynamic_partitions("corpus", new)
    if checkpoints := list(road.checkpoints):
        instance.add_dynamic_partitions("checkpoints", checkpoints)
    return new
