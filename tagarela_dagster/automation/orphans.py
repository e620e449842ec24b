"""Runs whose process is gone: ended on the page, so that they hold no pool slot for ever.

A leg of a drive runs inside the drive's own process, which Dagster's launcher does not watch; a
run of the page whose daemon ended with it is watched by nobody. Such a run would stay "started",
with its slot of the pool taken, and the next training would wait for it without end. Every run
names its process; whoever comes next (a drive, or the sensor, twice a minute) ends the runs of
processes that do not run any more.
"""

from __future__ import annotations

import dagster as dg

from tagarela_dagster.resources.process import PROCESS_TAG, is_gone

UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Report runs of dead processes of this host as failed; free slots that ended runs hold.

    Returns:
        Ids of the runs that were ended.
    """
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        name = run.tags.get(PROCESS_TAG)
        if name is not None and is_gone(name):
            instance.report_run_failed(run, "the process that ran this is gone")
            ended.append(run.run_id)
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        for key in storage.get_concurrency_keys():
            info = storage.get_concurrency_info(key)
            for run_id in info.active_run_ids | info.pending_run_ids:
                holder = instance.get_run_by_id(run_id)
                if holder is None or holder.is_finished:
                    storage.free_concurrency_slots_for_run(run_id)
    return ended
