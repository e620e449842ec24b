from __future__ import annotations

import sys
from pathlib import Path

from tagarela_dagster.training.launching.launch import launch
from tagarela_dagster.training.launching.log import Log, older, tail


def test_a_log_at_its_limit_becomes_the_older_part_which_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    log = Log(path, limit=100)
    for n in range(23):
        log.write(f"passo {n:03d}\n".encode())
    assert older(path).read_text().splitlines() == [f"passo {n:03d}" for n in range(10, 20)]
    assert path.read_text().splitlines() == ["passo 020", "passo 021", "passo 022"]


def test_a_launchs_log_is_bounded_while_it_runs(tmp_path: Path) -> None:
    command = "for n in range(20_000): print(f'passo {n:05d}')"
    launch([sys.executable, "-c", command], run=tmp_path, log_bytes=150_000)
    parts = [older(tmp_path / "log.txt"), tmp_path / "log.txt"]
    assert all(0 < part.stat().st_size <= 150_000 for part in parts)
    kept = "".join(part.read_text() for part in parts).splitlines()
    assert kept[-1] == "passo 19999"


def test_a_log_is_appended_to_by_the_next_launch(tmp_path: Path) -> None:
    for word in ("primeira", "segunda"):
        launch([sys.executable, "-c", f"print('{word}')"], run=tmp_path)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line for line in lines if "==" not in line] == ["primeira", "segunda"]
    assert sum(line.startswith("== ") for line in lines) == 2


def test_the_end_of_a_log_starts_where_a_launch_began(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    log = Log(path, 1000)
    log.write(b"antes\n")
    since = path.stat().st_size
    log.write("depois é agora\nfim\n".encode())
    assert tail(path, 10, since) == ["depois é agora", "fim"]
    assert tail(path, 1) == ["fim"]
    assert tail(path, 10, since=10_000) == ["antes", "depois é agora", "fim"]
    assert tail(tmp_path / "none", 10) == []
