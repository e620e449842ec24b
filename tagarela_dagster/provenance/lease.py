"""Lease: the fence that lets one writer at a time publish a partition or own a run folder.

A run worker that is killed can leave a step that writes on while its retry starts. Both then
want the same folder. The lease is a file created atomically; its holder renews it and checks it
again just before publishing, so a writer that was declared dead cannot publish any more.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from uuid import uuid4

LEASE_NAME = ".lease"
LEASE_SECONDS = 60.0
"""A lease that was not renewed for this long belongs to nobody."""

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What a file system answers that knows no locks; some that clusters share are mounted so."""


class LeaseHeldError(RuntimeError):
    """Somebody else, still alive, holds the lease."""


class LeaseLostError(RuntimeError):
    """The lease was taken over: this writer must not publish."""


class Lease:
    """Exclusive right to write ``folder``; a context manager that renews itself.

    Args:
        seconds: after which a lease that was not renewed belongs to nobody.
        name: of its file in the folder.
        about: what else the file says of the holder, and an error about it.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float = LEASE_SECONDS,
        *,
        name: str = LEASE_NAME,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.path = folder / name
        self.seconds = seconds
        self.about = dict(about or {})
        self.token = uuid4().hex
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    def __enter__(self) -> Lease:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard():
            holder = self._read()
            if holder and self._is_alive(holder):
                words = holder.get("about", {})
                about = "".join(f", {key} {value}" for key, value in words.items())
                raise LeaseHeldError(
                    f"{self.path.parent} is being written by process {holder['pid']} on "
                    f"{holder['host']}{about}: wait for it, or end it and try again"
                )
            self._write()
        self._renewer = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._renewer:
            self._renewer.join()
        with self._guard():
            holder = self._read()
            if holder and holder["token"] == self.token:
                self.path.unlink()

    def check(self) -> None:
        """Raise LeaseLostError when somebody else has taken the lease over."""
        holder = self._read()
        if not holder or holder["token"] != self.token:
            raise LeaseLostError(f"{self.path.parent} was taken over by another writer")

    def _renew(self) -> None:
        while not self._stop.wait(self.seconds / 4):
            with self._guard():
                holder = self._read()
                if not holder or holder["token"] != self.token:
                    return
                self._write()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Serialise read-then-write of the lease file between processes of one host."""
        guard = self.path.with_name(self.path.name + ".lock")
        with guard.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                yield  # the last of two writers has the lease, and check() tells the other
                return
            try:
                yield
            finally:
                # A process that was forked meanwhile has the file open too, and with it the lock.
                fcntl.flock(file, fcntl.LOCK_UN)

    def _read(self) -> dict | None:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def _write(self) -> None:
        pid = os.getpid()
        holder = {
            "token": self.token,
            "pid": pid,
            "started": process_start(pid),
            "host": socket.gethostname(),
            "place": place(),
            "about": self.about,
            "renewed": time.time(),
        }
        temporary = self.path.with_name(f"{self.path.name}.{self.token}")
        temporary.write_text(json.dumps(holder), encoding="utf-8")
        temporary.replace(self.path)

    def _is_alive(self, holder: dict) -> bool:
        if time.time() - holder["renewed"] > self.seconds:
            return False
        if holder.get("place") != place():
            return True
        return process_start(holder["pid"]) == holder["started"] is not None


def place() -> str:
    """Where process numbers mean what they mean here: host, boot and container.

    A pod that is started again has the name of the one before it, and maybe its numbers.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot; None when it does not run.

    Together with the pid it names a process uniquely: pids are used again. Without ``/proc``
    (macOS) a running process has the start time ``"unknown"``.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return "unknown" if _runs(pid) else None
    return None if fields[0] in "ZX" else fields[19]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
