"""Fence of a run folder: one training at a time, on one machine or many.

Two locks, because each is blind where the other sees. The kernel's lock on ``.ranks.lock`` is held
by every rank, so an orphan keeps it, and it is free the moment the last of them dies; but not
every file system that a cluster shares passes locks on. The lease (provenance/lease.py) is a file
with host, process, job and a time that rank 0 renews: it works wherever files do. Slurm has been
seen to run a started job a second time; the second then finds the lease and ends. Should a first
one have lost its lease (its machine hung for longer than the lease lasts), it finds that out
before it publishes: ``check_fence``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tagarela_dagster.provenance.lease import WITHOUT_LOCKS, Lease, LeaseHeldError, LeaseLostError
from tagarela_dagster.training.launching.failure import TrainingError

LOCK_NAME = ".ranks.lock"
LEASE_NAME = ".ranks.lease"
LEASE_SECONDS = 30.0
"""Clocks of the nodes must agree much better than this."""
WAIT_SECONDS = 20.0
"""How long a predecessor that is being ended is waited for on one machine."""
SETTLE_SECONDS = 1.0
"""Where several machines may want the folder: between writing the lease and looking who has it."""

logger = logging.getLogger(__name__)
_held: dict[Path, Lease] = {}
"""Leases of this process, by run folder."""


class RunLock:
    """Right to write a run folder, held by every rank of one training.

    Rank 0 takes it alone; once all ranks are connected it is shared with them.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / LOCK_NAME
        run.mkdir(parents=True, exist_ok=True)
        self._lease: Lease | None = None
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self, wait_seconds: float | None = None) -> None:
        """Take it alone. Raises TrainingError when another training still holds it."""
        job = _job()
        if wait_seconds is None:
            # Of a predecessor on another node nothing is known but that its lease runs out.
            wait_seconds = WAIT_SECONDS + (LEASE_SECONDS if job else 0)
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                self._take(job)
                return
            except TrainingError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _take(self, job: Mapping[str, str]) -> None:
        run = self.path.parent
        if not self._lock(fcntl.LOCK_EX):
            raise TrainingError(f"{run} is in use by another training: wait for it, or end it")
        lease = Lease(run, LEASE_SECONDS, name=LEASE_NAME, about=job)
        try:
            lease.__enter__()
        except LeaseHeldError as error:
            self._lock(fcntl.LOCK_UN)
            raise TrainingError(f"{error} (another training)") from error
        self._lease = _held[run] = lease
        if job:
            time.sleep(SETTLE_SECONDS)
            check_fence(run)

    def share(self) -> None:
        """Hold it together with the other ranks. Raises TrainingError when it was taken away."""
        if not self._lock(fcntl.LOCK_SH):
            raise TrainingError(f"{self.path.parent} was taken over by another training")

    def release(self) -> None:
        """Give it up."""
        if self._lease:
            _held.pop(self.path.parent, None)
            self._lease.__exit__(None, None, None)
        os.close(self._descriptor)

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            logger.warning("%s knows no locks: its lease alone fences it", self.path.parent)
        return True


def check_fence(run: Path) -> None:
    """Call before publishing anything in a run folder.

    Raises:
        TrainingError: this process held the folder and it was taken over.
    """
    lease = _held.get(run)
    if lease is None:
        return
    try:
        lease.check()
    except LeaseLostError as error:
        raise TrainingError(f"{error}: this training publishes nothing any more") from error


def _job() -> dict[str, str]:
    """What a cluster calls this training; empty on a machine of its own."""
    names = {
        "Slurm job": "SLURM_JOB_ID",
        "restart": "SLURM_RESTART_COUNT",
        "node": "SLURMD_NODENAME",
        "pod": "TAGARELA_POD",
    }
    return {name: os.environ[key] for name, key in names.items() if key in os.environ}
