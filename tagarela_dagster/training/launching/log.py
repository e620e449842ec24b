"""Log of a run: what its ranks write, appended live, bounded in size.

The ranks write into a pipe; one process (supervisor, Slurm job) pumps it into ``log.txt``. At its
size limit the file becomes ``log.1.txt``, in place of an older one, and a new one begins; so a
training of months keeps between one and two limits of log, and no line is lost at the change.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

LOG_NAME = "log.txt"
MEGABYTE = 1_000_000
TAIL_BYTES = 64_000


class Log:
    """``log.txt`` of a run, open for appending.

    Args:
        limit: bytes at which the file becomes ``log.1.txt``.
        echo: write to standard output too.
    """

    def __init__(self, path: Path, limit: float, *, echo: bool = False) -> None:
        self.path = path
        self.limit = limit
        self.echo = echo
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Append; the file changes first when ``data`` would pass the limit."""
        size = os.fstat(self._file.fileno()).st_size
        if size and size + len(data) > self.limit:
            self._file.close()
            self.path.replace(older(self.path))
            self._file = self.path.open("ab", buffering=0)
        self._file.write(data)
        if self.echo:
            os.write(1, data)

    def begin(self, where: str = "") -> None:
        """Write the line that stands above what a launch adds."""
        self.write(
            f"== {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {where}".rstrip().encode() + b"\n"
        )

    def pump(self, descriptor: int) -> threading.Thread:
        """Append what comes out of a pipe, from a thread that ends when its last writer has."""

        def copy() -> None:
            while data := os.read(descriptor, 1 << 16):
                self.write(data)

        thread = threading.Thread(target=copy, name="log", daemon=True)
        thread.start()
        return thread


def older(path: Path) -> Path:
    """Where the part of a log before the current one is kept."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def tail(path: Path, lines: int, since: int = 0) -> list[str]:
    """Last lines of a log, none of those before byte ``since`` unless it has changed meanwhile."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, since if since <= size else 0))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
