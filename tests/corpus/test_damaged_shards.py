"""A damaged file of the lake is found by its hash, named, and made again: it alone.

One bit is flipped, so that sizes and dates say nothing.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources import registry
from tagarela_dagster.evals.last_word import load_items
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import MANIFEST_NAME
from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.resources.making import making
from tagarela_dagster.resources.road import Road
from tests.cli.conftest import Said, tagarela
from tests.corpus.whole_road import UNIT_BYTES, build, published
from tests.resources.two_sources import DAMAGED, NAME, PARAGRAPHS, open_road, write_snapshot

KEY = "jornal@2026-01"
SHARD = "00001-000.parquet"
BY_SHARD = {
    "documents": (f"kept/{SHARD}", "quarantine/00001.jsonl"),
    "measured": (f"kept/{SHARD}",),
    "signatures": (f"signatures/{SHARD}",),
    "filtered": (f"decisions/{SHARD}",),
    "deduped": (f"decisions/{SHARD}",),
    "clean": (f"kept/{SHARD}", f"dropped/{SHARD}"),
}
"""Stations that are made shard by shard, and files of theirs that are damaged."""
AT_ONCE = {
    "jornal": ("files.json",),
    "benchmarks": ("items/last_word_sample.jsonl",),
    "clusters": (f"keep/{KEY}.parquet", f"state/{KEY}.index", "clusters.parquet"),
}
"""Stations that are made as a whole."""


Verify = Callable[..., Said]
console = tagarela
"""A fixture, under a name that no test has for an argument."""


@pytest.fixture
def verify(console: Callable[..., Said], road: Road) -> Verify:
    """The command ``tagarela verify`` on the road's recipe."""
    return partial(console, "verify", "--recipe", road.home.root.parents[1] / f"{NAME}.yaml")


@pytest.fixture
def road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Road:
    """A built road: two snapshots, three shards and one, with duplicates, a short text and a
    benchmark item among them."""
    plan = registry.group_files
    monkeypatch.setattr(registry, "group_files", partial(plan, unit_bytes=UNIT_BYTES))
    (task, *_) = load_recipe("sample").evals.last_word.values()
    item = load_items(task).items[0].sentence
    draw = random.Random(3)
    for key, number in ((KEY, 0), (KEY, 1), (KEY, 2), ("diario@2026-01", 0)):
        texts = ["\n\n".join(draw.sample(PARAGRAPHS, 3)) for _ in range(12)]
        texts += ["Não há mais nada.", f"{item}\n\n{PARAGRAPHS[number]}"]
        path = write_snapshot(tmp_path, key, texts, DAMAGED[:1])
        path.rename(path.with_name(f"{number}.jsonl"))
    road = open_road(tmp_path)
    build(road)
    return road


def flip(path: Path) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def hashes(lake: Lake) -> dict[str, str]:
    return {name: manifest.hash for name, manifest in published(lake).items()}


def places(lake: Lake, asset: str) -> dict[Path, tuple[int, int]]:
    """Inode and date of each file of the partition of ``asset`` that is damaged here."""
    manifest = published(lake)[f"{asset}/{KEY}"]
    stats = {path: path.stat() for path in lake.paths(manifest)}
    return {path: (found.st_ino, found.st_mtime_ns) for path, found in stats.items()}


def test_a_damaged_shard_is_named_and_made_again_alone(road: Road, verify: Verify) -> None:
    assert (verify().code, verify().text.split(" ", 1)[1]) == (
        0,
        "files are as their manifests say.",
    )
    wanted = hashes(road.lake)
    for asset, files in BY_SHARD.items():
        before = places(road.lake, asset)
        for file in files:
            (path,) = (path for path in before if path.as_posix().endswith(f"/{file}"))
            flip(path)
            assert road.state(asset, KEY) == "fresh", "sizes and dates don't tell"
            said = verify()
            assert said.code == 1
            assert said.out.startswith(f"damaged: {asset}[{KEY}] {path}\n1 of ")
            assert verify("--repair").code == 0
            assert build(road) == [f"{asset}[{KEY}]"]
            assert hashes(road.lake) == wanted
        after = places(road.lake, asset)
        again = {path.name.split("-")[0] for path in before if before[path] != after[path]}
        assert again <= {"00001", "00001.jsonl", "ledger.json"}, "the other shards are as they were"
    assert verify().code == 0


def test_a_damaged_file_of_a_station_made_at_once_is_made_again(road: Road, verify: Verify) -> None:
    wanted = hashes(road.lake)
    for asset, files in AT_ONCE.items():
        key = KEY if asset == "jornal" else None
        for file in files:
            (path,) = road.lake.paths(road.lake.require(asset, key), file)
            flip(path)
            name = f"{asset}[{KEY}]" if key else asset
            assert verify().out.startswith(f"damaged: {name} {path}\n1 of ")
            assert verify("--repair").code == 0
            assert build(road) == [name]
            assert hashes(road.lake) == wanted
    assert verify().code == 0


@pytest.mark.parametrize("asset", ["documents", "filtered"])
def test_a_damaged_ledger_or_manifest_costs_its_partition(
    road: Road, verify: Verify, asset: str
) -> None:
    wanted = hashes(road.lake)
    ledger = road.lake.data(asset, KEY) / "ledger.json"
    manifest = road.lake.folder(asset, KEY) / MANIFEST_NAME
    for path in (ledger, manifest):
        if path == manifest:
            path.write_text(path.read_text().replace('"sha256"', '"sha257"', 1))
        else:
            flip(path)
        assert f"damaged: {asset}[{KEY}] {path}\n" in verify().out
        assert verify("--repair").code == 0
        assert build(road) == [f"{asset}[{KEY}]"]
        assert hashes(road.lake) == wanted
    assert verify().code == 0


def test_a_rebuild_replaces_a_damaged_file_that_nobody_has_noticed(road: Road) -> None:
    """Clusters may come out as they were for other reasons than a repair."""
    wanted = road.lake.require("clusters")
    for prefix in ("keep/", "state/", "clusters.parquet"):
        flip(road.lake.paths(wanted, prefix)[0])
    with road.writing("clusters") as writer:
        again = making(road, "clusters")(writer)
    assert again.hash == wanted.hash
    assert road.lake.damaged(again) == []
