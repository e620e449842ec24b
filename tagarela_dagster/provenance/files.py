"""Files that are whole or absent: write to a temporary name, flush to disk, rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    When the block raises, the temporary file is removed and ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        settle(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file for writing; rename it over ``path`` when the block succeeds."""
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path) as temporary, temporary.open(mode, encoding=encoding) as file:
        yield file


def temporary_path(path: Path) -> Path:
    """A hidden name beside ``path`` that no other writer has, not even one of the same file."""
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")


def settle(temporary: Path, path: Path) -> None:
    """Rename a file that is written to its final name; both survive a loss of power."""
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def replace_folder(staged: Path, final: Path) -> None:
    """Rename the folder ``staged`` to ``final``; an existing ``final`` is removed first."""
    if final.exists():
        shutil.rmtree(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(final)
    flush(final.parent)


def flush(path: Path) -> None:
    """Have a file or folder written to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
