"""How kernels are compiled: Numba, to machine code that is kept between processes.

The first call in a fresh checkout compiles (seconds), later processes load the file. Numba looks
only at a function's own file to tell whether its machine code is stale, but that holds the code of
the functions it calls too; so the code lies in a folder named after the text of its file and of
all kernels that this imports, directly or not.
Kernels run without the interpreter's lock, and divide as NumPy does (no exception inside a loop).
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import re
import shutil
import time
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])

KEPT_SECONDS = 7 * 24 * 3600
"""How long the code of other sources stays after its last use: branches come back."""

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^(?:from|import) [^(\n]*(?:\([^)]*\))?", re.MULTILINE)


def jit(function: Function) -> Function:
    """Compile ``function`` at its first call; plain Python stays its source and its meaning."""
    return _compiled(function, makes_arrays=True)


def jit_borrowing(function: Function) -> Function:
    """As :func:`jit`, of a function that makes no array: it only looks at and fills those it gets.

    Its arrays are not counted as references. Counting is an atomic instruction for each array of
    each call, which in small functions over many arrays takes longer than their work.
    """
    return _compiled(function, makes_arrays=False)


def cache_folder(function: Callable[..., object]) -> Path:
    """Where the machine code of a function lies: a folder for the text of all that may be in it."""
    return _folder(Path(inspect.getfile(function)))


def _compiled(function: Function, *, makes_arrays: bool) -> Function:
    before = numba.config.CACHE_DIR
    # Numba asks for the folder while it decorates, and remembers it.
    numba.config.CACHE_DIR = str(cache_folder(function))
    try:
        compiled = numba.njit(
            cache=True, nogil=True, error_model="numpy", _nrt=makes_arrays
        )(function)  # fmt: skip
    finally:
        numba.config.CACHE_DIR = before
    return cast(Function, compiled)


@cache
def _folder(file: Path) -> Path:
    digest = hashlib.sha256()
    for path in sorted(_sources(file)):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    base = _base()
    folder = base / digest.hexdigest()[:16]
    if folder.is_dir():
        os.utime(folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unused(base, time.time() - KEPT_SECONDS)
    return folder


def _sources(file: Path) -> set[Path]:
    """The file and the kernels' files that it imports, directly or not."""
    found, waiting = {file}, [file]
    while waiting:
        imported = _imported(waiting.pop()) - found
        found |= imported
        waiting += imported
    return found


@cache
def _imported(file: Path) -> frozenset[Path]:
    """Kernels' files whose names stand in a file's imports."""
    words = set(re.findall(r"\w+", " ".join(_IMPORT.findall(file.read_text()))))
    return frozenset(path for path in _kernels() if path.stem in words)


@lru_cache(maxsize=1)
def _kernels() -> list[Path]:
    return sorted(_HERE.glob("*.py"))


@lru_cache(maxsize=1)
def _base() -> Path:
    """NUMBA_CACHE_DIR where it is set, else beside the sources, else the user's cache."""
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR) / "tagarela-kernels"
    beside = _HERE / "__pycache__"
    with contextlib.suppress(OSError):
        beside.mkdir(exist_ok=True)
    if os.access(beside, os.W_OK | os.X_OK):
        return beside / "kernels"
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user) / "tagarela" / "kernels"


def remove_unused(base: Path, before: float) -> None:
    """Remove folders last used before a time; another process may be removing them as well."""
    for folder in base.iterdir():
        try:
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue
