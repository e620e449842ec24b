"""The end of a takedown: old data folders and the page's events about them are removed.

Runs that materialized a partition in which something forgotten stood carry samples of its text in
their events; they go, and the runs that made the partitions again stand for them.
"""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.takedown import (
    affected,
    is_rebuilt,
    mark_swept,
    remove_scores,
    sweep,
    unswept,
)

PARTITION_TAG = "dagster/partition"


def complete_takedowns(road: Road, instance: dg.DagsterInstance) -> bool:
    """Remove what is left of what was forgotten, once everything has been made again without it.

    Returns:
        Whether nothing is left; True as well when nothing was to be done.
    """
    pending = unswept(road)
    if not pending:
        return True
    partitions = affected(road, pending)
    if not is_rebuilt(road, partitions):
        return False
    if not sweep(road):
        return False
    remove_scores(road)
    since = max(datetime.fromisoformat(tombstone.since) for tombstone in pending)
    _delete_runs(instance, road, set(partitions), since)
    mark_swept(road, pending)
    return True


def _delete_runs(
    instance: dg.DagsterInstance, road: Road, partitions: set[str], before: datetime
) -> None:
    whole = {name for name, station in road.road.items() if station.scope == "whole"}
    for run in instance.get_runs(dg.RunsFilter(created_before=before)):
        assets = {key.to_user_string() for key in run.asset_selection or ()}
        if run.is_finished and (run.tags.get(PARTITION_TAG) in partitions or assets & whole):
            instance.delete_run(run.run_id)
