from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tagarela_dagster.corpus.tombstones import (
    Tombstone,
    add_tombstones,
    forgotten_in,
    read_tombstones,
    sha256,
)
from tagarela_dagster.provenance.lease import Lease
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.takedown import forget, sweep
from tests.resources.two_sources import open_road, write_recipe


def test_those_who_forget_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "tombstones.jsonl"
    new = [
        Tombstone("host", sha256(f"jornal{n}.pt"), "2026-01-01", ("par/a@1",)) for n in range(24)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tombstone: add_tombstones(path, [tombstone]), new))
    assert sorted(read_tombstones(path), key=lambda row: row.sha256) == sorted(
        new, key=lambda row: row.sha256
    )


def test_a_snapshot_that_is_half_read_is_read_again_without_what_was_forgotten(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / "par").create()
    (home.lake / "documents" / "jornal@2026-01" / ".staging-1" / "parts").mkdir(parents=True)
    done = forget(home, "jornal.pt")
    assert done.places == {}
    rows = read_tombstones(home.tombstones)
    assert forgotten_in(rows, "par/jornal@2026-01") is not None
    assert forgotten_in(rows, "par/diario@2026-01") is None


def test_sweeping_leaves_the_folder_of_a_writer_at_work_and_says_so(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    road = open_road(tmp_path)
    folder = road.home.lake / "measured" / "jornal@2026-01"
    left = [folder / "data-old" / "kept", folder / ".staging-1" / "data"]
    for path in left:
        path.mkdir(parents=True)
    with Lease(folder):
        assert not sweep(road)
    assert all(path.is_dir() for path in left)
    assert sweep(road)
    assert not any(path.exists() for path in left)
