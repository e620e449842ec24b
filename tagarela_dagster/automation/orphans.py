"""Runs whose process is gone: ended on the page, so that they hold no pool slot for ever.

A leg of a drive runs inside the drive's own process, which Dagster's launcher does not watch. When
that process is killed, its leg would stay "started", with its slot of the pool taken, and the next
training would wait for it without end. Each leg names its process; whoever comes next (a drive, or
the sensor, twice a minute) ends the legs of processes that do not run any more.
"""

from __future__ import annotations

import os
import socket

import dagster as dg

from tagarela_dagster.provenance.lease import process_start

PROCESS_TAG = "tagarela/process"
UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_name() -> str:
    """This process: host, pid and start time, which together are never used twice."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{process_start(pid)}"


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Report legs of dead processes of this host as failed and free their slots.

    Returns:
        Ids of the runs that were ended.
    """
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        name = run.tags.get(PROCESS_TAG)
        if name is None or _is_alive(name):
            continue
        instance.report_run_failed(run, "the process that ran this leg is gone")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def _is_alive(name: str) -> bool:
    host, pid, started = name.rsplit(":", 2)
    return host != socket.gethostname() or process_start(int(pid)) == started
