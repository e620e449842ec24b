from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tagarela_dagster.corpus.dedup.rehydration import derive_repeats, repeats
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.rehydration import Rehydration
from tests.corpus.dedup.signed import Doc, cluster, write_signed


def test_survivors_are_repeated_by_the_size_of_their_cluster(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    shard = [
        Doc(f"{text}/{copy}", text) for text, size in enumerate((1, 2, 5)) for copy in range(size)
    ]
    boiler = [Doc(f"9/{copy:03d}", 9) for copy in range(169)]
    manifest = cluster(lake, write_signed(tmp_path, {"a@1": [shard], "b@1": [boiler]}))
    clusters = lake.paths(manifest, "clusters.parquet")
    found = list(repeats(clusters, Rehydration(enabled=True)))
    assert found == [("a@1", "1/0", 2), ("a@1", "2/0", 3)]
    assert list(repeats(clusters, Rehydration())) == []
    none = Rehydration(enabled=True, repeats={1: 1, 100: 0})
    assert list(repeats(clusters, none)) == [("b@1", "9/000", 0)]


def test_the_table_follows_the_removal_rates() -> None:
    # Straight from 60% removed of single documents to 0% at size 13, then up again.
    removed = {size: abs(13 - size) / 20 for size in range(1, 31)}
    assert derive_repeats(removed, overall=0.55, window=1) == {
        1: 1,
        4: 2,
        7: 3,
        9: 4,
        12: 5,
        15: 4,
        18: 3,
        20: 2,
        23: 1,
    }


def test_rates_are_smoothed_before_they_are_compared() -> None:
    removed = dict.fromkeys(range(1, 21), 0.6) | {10: 0.1}
    assert derive_repeats(removed, overall=0.6, window=1) == {1: 1, 10: 5, 11: 1}
    assert derive_repeats(removed, overall=0.6) == {1: 1, 8: 5, 13: 1}
    assert derive_repeats({}, overall=0.6) == {1: 1}


@pytest.mark.parametrize(
    ("table", "message"), [({2: 2}, "no entry for size 1"), ({1: 1, 3: -1}, "repeats at 0")]
)
def test_a_table_that_makes_no_sense_is_refused(table: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Rehydration(repeats=table)
