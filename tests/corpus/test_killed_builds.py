"""A build that is killed again and again ends with the bytes of one that nobody disturbed.

The kill is SIGKILL of the process that builds, and of nothing else: its worker processes live a
moment longer, beside the build that takes up its work.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagarela_dagster.provenance.lake import Lake
from tests.corpus.whole_road import published
from tests.resources.two_sources import DAMAGED, NAME, PARAGRAPHS, write_snapshot

KILLS, BUILDS = 20, 2
START_SECONDS = 0.4
"""A build does nothing but import for so long."""
PATIENCE_SECONDS = 20.0
SHARDS = {"jornal@2026-01": 2, "diario@2026-01": 1}
"""With one shard a snapshot is done in one process, with more in two workers'."""


def write_sources(folder: Path) -> Path:
    """Two snapshots, one raw file a shard; the same texts every time."""
    draw = random.Random(3)
    for key, files in SHARDS.items():
        for number in range(files):
            texts = ["\n\n".join(draw.sample(PARAGRAPHS, 3)) for _ in range(12)]
            path = write_snapshot(folder, key, texts, DAMAGED[:1])
            path.rename(path.with_name(f"{number}.jsonl"))
    return folder


def start_build(folder: Path) -> subprocess.Popen[bytes]:
    """A build in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.corpus.whole_road", str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "LOGURU_LEVEL": "WARNING"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def sound_hashes(folder: Path) -> dict[str, str]:
    """Every published partition's hash, once each of its files was found to be whole."""
    lake = Lake(folder / "home" / NAME / "lake")
    found = published(lake)
    assert {name: lake.damaged(m) for name, m in found.items() if lake.damaged(m)} == {}
    return {name: manifest.hash for name, manifest in found.items()}


def processes(session: int) -> list[str]:
    """Living processes of a session, by their pids."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_twenty_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    began = time.monotonic()
    undisturbed = write_sources(tmp_path / "undisturbed")
    assert start_build(undisturbed).wait() == 0
    seconds = time.monotonic() - began - START_SECONDS
    wanted = sound_hashes(undisturbed)
    assert len(wanted) == 2 * 7 + 2, "of both snapshots seven stations, benchmarks and clusters"

    draw = random.Random()
    sessions = []
    for number in range(BUILDS):
        folder = write_sources(tmp_path / f"killed-{number}")
        # Together these moments let a build come to its end, so that no station is left out.
        kills = KILLS * (number + 1) // BUILDS - KILLS * number // BUILDS
        for _ in range(kills):
            build = start_build(folder)
            sessions.append(build.pid)
            time.sleep(START_SECONDS + draw.random() * 2 * seconds / kills)
            build.kill()
            build.wait()
            sound_hashes(folder)
        assert start_build(folder).wait() == 0
        assert sound_hashes(folder) == wanted
        assert not list(folder.rglob(".staging-*")), "what a killed build staged is used or removed"
    assert len(sessions) == KILLS

    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := [pid for session in sessions for pid in processes(session)]:
        assert time.monotonic() < deadline, f"processes {left} outlive the builds they worked for"
        time.sleep(0.2)
