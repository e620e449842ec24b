"""Environment of training processes: tools, threads, and the cache of compiled extensions.

DeepSpeed compiles an extension with ninja on its first start and keeps it in a cache. A process
that is killed while compiling leaves a lock file there, and the next one waits for it for ever;
so locks that nobody holds are removed before a launch.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

CACHE_VARIABLE = "TAGARELA_CACHE"
STALE_LOCK_SECONDS = 600.0
"""Where open files cannot be listed, a lock of this age is stale: building takes 30 to 70 s."""


def cache_folder() -> Path:
    """This user's cache: TAGARELA_CACHE, else below XDG_CACHE_HOME, else below ``~/.cache``."""
    given = os.environ.get(CACHE_VARIABLE)
    if given is not None:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tagarela"


def extensions_folder() -> Path:
    """Folder for compiled extensions of the installed versions."""
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    name = f"{python}-torch{version('torch')}-deepspeed{version('deepspeed')}"
    return cache_folder() / "extensions" / name


def training_environment(processes: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for ``processes`` ranks on this machine; ``extra`` wins."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    tools = str(Path(sys.executable).parent)
    defaults = {
        "OMP_NUM_THREADS": str(max(1, cores // processes)),
        # Threads that wait by spinning take the cores from who has work: on a busy machine of 2
        # cores one process of 2 threads trained 1,400 tokens/s with spinning, 3,500 without.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TORCH_EXTENSIONS_DIR": str(extensions_folder()),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    environment = {**defaults, **os.environ, **(extra or {})}
    # ninja lies beside the interpreter, which a virtual environment that is not activated hides.
    environment["PATH"] = f"{tools}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return environment


def remove_stale_locks(folder: Path) -> list[Path]:
    """Remove lock files of extension builds that nobody holds; return what was removed."""
    locks = [path for path in folder.glob("*/lock") if path.is_file()]
    if not locks:
        return []
    held = _open_files()
    removed = []
    for lock in locks:
        if held is None:
            stale = time.time() - lock.stat().st_mtime > STALE_LOCK_SECONDS
        else:
            stale = str(lock.resolve()) not in held
        if stale:
            lock.unlink(missing_ok=True)
            removed.append(lock)
    return removed


def _open_files() -> set[str] | None:
    """Files that processes of this user hold open; None where that cannot be told."""
    if not Path("/proc/self/fd").exists():
        return None
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes end and files are closed while this looks.
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found
