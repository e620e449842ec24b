from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.mixture import Mixture
from tagarela_dagster.training.mixing.mixture import lay_mixture, write_mixture
from tagarela_dagster.training.mixing.shares import MixtureError
from tests.training.token_lake import TOKENIZER, folder_of, numbered_documents, write_tokens


def small_mixture(lake: Lake, seed: int = 7) -> Manifest:
    manifests = [
        write_tokens(lake, "a@1", [numbered_documents([3, 5, 2], 1)]),
        write_tokens(lake, "a@2", [numbered_documents([7], 100), [], numbered_documents([4], 200)]),
        write_tokens(lake, "b@1", [numbered_documents([6, 1], 300)]),
    ]
    with lake.write("mixture", code_version="1", section={}, inputs={}) as writer:
        return write_mixture(writer, lake, manifests, Mixture(), context=4, sequences=18, seed=seed)


def test_the_plan_reconciles_and_names_its_shards_by_place_in_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = small_mixture(lake)
    plan = json.loads((folder_of(lake, manifest) / "plan.json").read_text(encoding="utf-8"))
    assert plan["planned_tokens"] == 72
    assert plan["tokenizer"] == TOKENIZER
    a, b = plan["sources"]
    assert (a["documents"], a["tokens"], a["sequences"]) == (5, 26, 13)
    assert (b["documents"], b["tokens"], b["sequences"]) == (2, 9, 5)
    assert a["planned_tokens"] + b["planned_tokens"] == 72
    assert [(s["partition"], s["path"], s["tokens"]) for s in a["shards"]] == [
        ("a@1", "tokens/00000.tokens", 13),
        ("a@2", "tokens/00000.tokens", 8),
        ("a@2", "tokens/00002.tokens", 5),
    ]
    assert str(tmp_path) not in json.dumps(plan)
    assert manifest.counts["planned_tokens"] == 72


def test_the_same_inputs_give_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    one = small_mixture(Lake(tmp_path / "one"))
    two = small_mixture(Lake(tmp_path / "elsewhere" / "two"))
    other = small_mixture(Lake(tmp_path / "three"), seed=8)
    assert one.hash == two.hash
    assert one.hash != other.hash


def test_the_order_holds_each_source_exactly_as_often_as_planned(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    order = np.load(folder_of(lake, small_mixture(lake)) / "order.npy", allow_pickle=False)
    assert np.bincount(order).tolist() == [13, 5]


def test_partitions_of_two_tokenizers_do_not_mix(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    one = write_tokens(lake, "a@1", [[[1]]])
    two = write_tokens(lake, "b@1", [[[1]]], TOKENIZER | {"vocabulary": 500})
    with pytest.raises(MixtureError, match="2 different tokenizers"):
        lay_mixture(
            lake,
            [one, two],
            Mixture(),
            context=2,
            sequences=1,
            seed=1,
            out=tmp_path / "mixture",
            scratch=tmp_path / "survey",
        )
