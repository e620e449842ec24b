"""Names of processes: a run says which process it lives in, so that its death can be told."""

from __future__ import annotations

import multiprocessing
import os
import socket

from tagarela_dagster.provenance.lease import process_start

PROCESS_TAG = "tagarela/process"
"""Run tag with the name of the process that runs it."""


def process_name(pid: int | None = None) -> str:
    """Host, pid and start time of a process (default: this one), which never occur twice."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{process_start(pid)}"


def run_worker_name() -> str:
    """Name of the run worker: the parent of a step's process, or this process."""
    worker = multiprocessing.parent_process()
    return process_name(worker.pid if worker else None)


def is_gone(name: str) -> bool:
    """Whether a process of this host does not run any more; False for other hosts' processes."""
    host, pid, started = name.rsplit(":", 2)
    return host == socket.gethostname() and process_start(int(pid)) != started
