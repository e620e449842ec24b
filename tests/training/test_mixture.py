from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.tokens import Mixture, Weight
from tagarela_dagster.training.mixture import plan_mixture, write_mixture
from tagarela_dagster.training.mixture_plan import MixtureError, plan_sources
from tests.training.token_lake import TOKENIZER, folder_of, numbered_documents, write_tokens


def sequences_of(
    tokens: dict[str, int], section: Mixture, context: int, sequences: int
) -> dict[str, int]:
    available = {name: (1, count) for name, count in tokens.items()}
    plans = plan_sources(available, section, context, sequences)
    return {plan.name: plan.sequences for plan in plans}


def test_shares_follow_the_tokens_times_the_weight() -> None:
    section = Mixture(sources={"b": Weight(weight=3)})
    assert sequences_of({"a": 3000, "b": 1000}, section, 10, 100) == {"a": 50, "b": 50}


def test_weights_alone_are_the_shares_whatever_the_sizes() -> None:
    section = Mixture(by="weights", sources={"a": Weight(weight=0.1), "b": Weight(weight=0.3)})
    assert sequences_of({"a": 9000, "b": 1000}, section, 10, 100) == {"a": 25, "b": 75}


def test_a_source_is_cut_at_its_epochs_and_the_others_take_the_rest() -> None:
    section = Mixture(
        by="weights",
        sources={"a": Weight(), "b": Weight(max_epochs=2), "c": Weight(weight=2)},
    )
    given_out = sequences_of({"a": 1000, "b": 50, "c": 1000}, section, 10, 100)
    assert given_out == {"a": 30, "b": 10, "c": 60}
    plans = plan_sources({"a": (1, 1000), "b": (1, 50), "c": (1, 1000)}, section, 10, 100)
    assert [plan.capped for plan in plans] == [False, True, False]
    assert [plan.epochs for plan in plans] == [0.3, 2.0, 0.6]
    assert [plan.wanted_share for plan in plans] == [0.25, 0.25, 0.5]


def test_a_source_of_weight_zero_or_without_tokens_gives_nothing() -> None:
    section = Mixture(sources={"b": Weight(weight=0)})
    assert sequences_of({"a": 100, "b": 100, "c": 0}, section, 10, 5) == {"a": 5, "b": 0, "c": 0}


def test_a_plan_that_cannot_be_filled_says_what_to_change() -> None:
    section = Mixture(sources={"a": Weight(max_epochs=2)})
    with pytest.raises(MixtureError) as error:
        sequences_of({"a": 100}, section, 10, 80)
    message = str(error.value)
    assert "needs 800 tokens (80 sequences of 10), the sources give 200" in message
    assert "a: 100 tokens x 2 epochs" in message
    assert "raise tokens.mixture.max_epochs (about 8.1 fill it" in message
    assert "to 25% of what it is" in message


def test_a_source_without_a_limit_of_its_own_has_the_mixtures() -> None:
    section = Mixture(max_epochs=3, sources={"a": Weight(max_epochs=1), "b": Weight()})
    assert sequences_of({"a": 100, "b": 100, "c": 100}, section, 10, 70) == {
        "a": 10,
        "b": 30,
        "c": 30,
    }


def test_no_usable_source_is_an_error() -> None:
    with pytest.raises(MixtureError, match="nothing to train on"):
        sequences_of({"a": 0}, Mixture(), 10, 1)


@given(
    tokens=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    weights=st.lists(st.floats(0, 10), min_size=6, max_size=6),
    sequences=st.integers(1, 300),
    by=st.sampled_from(["tokens", "weights"]),
)
def test_every_plan_sums_exactly_and_keeps_its_caps(
    tokens: list[int], weights: list[float], sequences: int, by: str
) -> None:
    names = [f"s{i}" for i in range(len(tokens))]
    rules = {n: Weight(weight=w, max_epochs=2.5) for n, w in zip(names, weights, strict=False)}
    section = Mixture(by=by, sources=rules)
    sizes = dict(zip(names, tokens, strict=True))
    usable = {n for n in names if sizes[n] and rules[n].weight}
    capacity = sum(int(2.5 * sizes[n]) // 7 for n in usable)
    if not usable or capacity < sequences:
        with pytest.raises(MixtureError):
            sequences_of(sizes, section, 7, sequences)
        return
    found = sequences_of(sizes, section, 7, sequences)
    assert sum(found.values()) == sequences
    assert all(found[n] <= int(2.5 * sizes[n]) // 7 for n in names)
    assert all(found[n] == 0 for n in names if n not in usable)


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
        plan_mixture([one, two], Mixture(), context=2, sequences=1, seed=1)
