from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.document import SIGNALS
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.mixture import Mixture
from tagarela_dagster.training.mixing import streams
from tagarela_dagster.training.mixing.account import AccountError, by_source, reconcile
from tagarela_dagster.training.mixing.mixture import lay_mixture
from tagarela_dagster.training.mixing.sampler import Sampler, open_sampler
from tagarela_dagster.training.mixing.strata import StrataError
from tests.training.token_lake import numbered_documents, write_tokens

CONTEXT = 8
LENGTHS = [5, 9, 3, 7, 4, 6, 8, 2]
SIGNAL = SIGNALS[0]
PINNED = [2, 0, 1, 7, 1, 6]
"""Documents of a@1 when the second one repeats three times, as far as eight sequences go."""


def token_partitions(lake: Lake) -> list[Manifest]:
    """a@1 with eight documents of known variety, licence and signal; b@1 with four."""
    columns: dict[str, list[Any]] = {
        "variety": ["pt-PT", "pt-PT", "pt-BR", "pt-BR", "pt-PT", "pt-BR", None, "pt-PT"],
        "variety_score": [None, 0.9, 0.95, 0.4, 0.8, 0.99, None, 0.7],
        "license": ["CC-BY-SA-4.0", "MIT", "cc-by-sa-3.0", None, "MIT", "MIT", "MIT", "MIT"],
        "quality": [{SIGNAL: value} for value in (10, 90, 50, 50.1, None, 700, 49.9, 1)],
    }
    return [
        write_tokens(lake, "a@1", [numbered_documents(LENGTHS, 1)], columns=columns),
        write_tokens(lake, "b@1", [numbered_documents([20, 1, 9], 100), [[200]]]),
    ]


def lay(folder: Path, section: dict[str, Any], sequences: int, **more: Any) -> Sampler:
    lake = Lake(folder / "lake")
    manifests = token_partitions(lake)
    out = folder / "mixture"
    lay_mixture(
        lake,
        manifests,
        Mixture.model_validate(section),
        context=CONTEXT,
        sequences=sequences,
        seed=5,
        out=out,
        scratch=folder / "survey",
        **more,
    )
    return open_sampler(out, lake.root)


def uses(sampler: Sampler) -> dict[str, Counter[tuple[int, int]]]:
    """Source -> (epoch, document) -> times that it begins in the whole run."""
    found: dict[str, Counter[tuple[int, int]]] = {}
    for k in range(sampler.sequences):
        source = sampler.sequence(k).source
        for span in sampler.spans(k):
            if span.first == 0:
                found.setdefault(source, Counter())[span.epoch, span.document] += 1
    return found


def units_of(sampler: Sampler) -> dict[str, tuple[int, int]]:
    return {row["unit"]: (row["documents"], row["tokens"]) for row in sampler.units}


def test_documents_are_told_apart_by_variety_tier_and_licence_as_far_as_is_asked(
    tmp_path: Path,
) -> None:
    assert units_of(lay(tmp_path / "0", {}, 8)) == {"a": (8, 52), "b": (4, 35)}
    variety = {"varieties": {"min_score": 0.75}}
    assert units_of(lay(tmp_path / "1", variety, 8)) == {
        "a/pt-BR": (2, 11),
        "a/pt-PT": (3, 21),
        "a/unknown": (3, 20),
        "b/unknown": (4, 35),
    }
    tiers = {"tiers": {"signal": SIGNAL, "cuts": [50, 100], "names": ["low", "mid", "high"]}}
    assert units_of(lay(tmp_path / "2", tiers, 8)) == {
        "a/high": (1, 7),
        "a/low": (3, 18),
        "a/mid": (3, 22),
        "a/unknown": (1, 5),
        "b/unknown": (4, 35),
    }
    caps = {"caps": [{"license": "CC-BY-SA*", "max_share": 0.5}]}
    assert units_of(lay(tmp_path / "3", caps, 8)) == {
        "a/CC-BY-SA*": (2, 10),
        "a/other": (6, 42),
        "b/other": (4, 35),
    }


def test_a_signal_that_no_document_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(StrataError, match=f"has no quality.perplexidade.*{SIGNAL}"):
        lay(tmp_path, {"tiers": {"signal": "perplexidade", "cuts": [1]}}, 8)


def test_each_document_of_an_epoch_is_used_as_often_as_it_repeats(tmp_path: Path) -> None:
    repeats = [("a@1", "a:0-1", 3), ("a@1", "a:0-4", 2), ("a@1", "a:0-6", 0), ("b@1", "b:1-0", 5)]
    sampler = lay(tmp_path, {"max_epochs": 9}, 60, repeats=repeats)
    times = {"a": [1, 3, 1, 1, 2, 1, 0, 1], "b": [1, 1, 1, 5]}
    rows = {row["unit"]: row for row in sampler.units}
    assert (rows["a"]["documents"], rows["a"]["uses"], rows["a"]["tokens"]) == (8, 10, 68)
    assert (rows["b"]["uses"], rows["b"]["tokens"]) == (8, 43)
    found = uses(sampler)
    for source, expected in times.items():
        whole = int(rows[source]["epochs"])
        assert whole >= 2
        for epoch in range(whole):
            assert [found[source][epoch, n] for n in range(len(expected))] == expected
        assert all(n <= expected[d] for (e, d), n in found[source].items())
        assert rows[source]["most_uses"] >= max(
            sum(n for (_, d), n in found[source].items() if d == document)
            for document in range(len(expected))
        )


def test_documents_that_are_not_named_are_used_as_often_as_usual(tmp_path: Path) -> None:
    sampler = lay(tmp_path, {}, 8, repeats=[("a@1", "a:0-0", 1)], usual_repeats=2)
    assert [(row["unit"], row["uses"]) for row in sampler.units] == [("a", 15), ("b", 8)]


def test_the_plan_counts_the_documents_that_begin_in_each_cell(tmp_path: Path) -> None:
    phases = [{"name": "one", "share": 0.6}, {"name": "two", "sources": {"b": {"weight": 3}}}]
    sampler = lay(tmp_path, {"phases": phases, "max_epochs": 9}, 40)
    begun: Counter[str] = Counter()
    for k in range(sampler.sequences):
        begun[sampler.sequence(k).cell] += sum(span.first == 0 for span in sampler.spans(k))
    assert begun == {row["cell"]: row["documents"] for row in sampler.plan["cells"]}
    assert sum(begun.values()) == sum(sum(c.values()) for c in uses(sampler).values())


def test_a_phase_holds_its_own_sequences_and_no_other(tmp_path: Path) -> None:
    phases = [{"name": "one", "share": 0.6}, {"name": "two", "sources": {"b": {"weight": 0}}}]
    sampler = lay(tmp_path, {"phases": phases, "max_epochs": 9}, 30)
    cells = [sampler.sequence(k).cell for k in range(30)]
    assert all(cell.startswith("one:") for cell in cells[:18])
    assert cells[18:] == ["two:a"] * 12
    assert set(cells[:18]) == {"one:a", "one:b"}


def test_training_reconciles_with_the_plan_by_cell_after_any_step(tmp_path: Path) -> None:
    tiers = {"signal": SIGNAL, "cuts": [60], "names": ["low", "high"]}
    phases = [{"name": "one", "share": 0.6}, {"name": "two", "tiers": {"high": 4.0}}]
    sampler = lay(tmp_path, {"tiers": tiers, "phases": phases, "max_epochs": 9}, 40)
    consumed: dict[str, int] = {}
    for k in range(40):
        sequence = sampler.sequence(k)
        consumed[sequence.cell] = consumed.get(sequence.cell, 0) + CONTEXT
        assert sampler.consumed(k + 1) == consumed
    rows = reconcile(sampler.plan, consumed)
    assert sum(row["consumed_tokens"] for row in rows) == 40 * CONTEXT
    assert all(row["consumed_tokens"] == row["planned_tokens"] for row in rows)
    planned = {s["name"]: s["planned_tokens"] for s in sampler.plan["sources"]}
    assert by_source(sampler.plan, consumed) == planned
    consumed["two:a/high"] -= 1
    with pytest.raises(AccountError, match=r"two:a/high: \d+ tokens planned, \d+ consumed"):
        reconcile(sampler.plan, consumed)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    times=st.lists(st.integers(0, 5), min_size=8, max_size=8),
    sequences=st.integers(4, 40),
    bucket=st.integers(1, 6),
)
def test_buckets_change_nothing_and_every_use_is_planned(
    times: list[int], sequences: int, bucket: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repeats = [("a@1", f"a:0-{n}", number) for n, number in enumerate(times)]
    section = {"max_epochs": 50, "sources": {"b": {"epochs": 1}}}
    section |= {"tiers": {"signal": SIGNAL, "cuts": [50]}} if times[0] % 2 else {}
    if sum(times[:4]) == 0:
        return
    whole = lay(tmp_path_factory.mktemp("one"), section, sequences + 5, repeats=repeats)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BUCKET", bucket)
        patch.setattr(streams, "CHUNK", 3)
        parts = lay(tmp_path_factory.mktemp("two"), section, sequences + 5, repeats=repeats)
    for k in range(whole.sequences):
        assert whole.spans(k) == parts.spans(k)
    assert json.dumps(whole.plan["cells"]) == json.dumps(parts.plan["cells"])
    counted = uses(whole)["a"]
    for (_, document), number in counted.items():
        assert number <= times[document]


def test_the_draw_is_splitmix64_and_the_order_of_an_epoch_is_pinned(tmp_path: Path) -> None:
    # First outputs from state 1234567 (rosettacode.org, Pseudo-random numbers/Splitmix64).
    assert streams.splitmix64(1_234_567, np.arange(3)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
    sampler = lay(tmp_path, {}, 8, repeats=[("a@1", "a:0-1", 3)])
    order = np.load(streams.stream_path(sampler.folder, 0, 0, "order"))
    assert order.tolist() == PINNED


def test_copies_of_a_document_lie_apart_and_single_documents_are_shuffled(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    manifest = write_tokens(lake, "a@1", [[[1]] * 2000])
    repeats = [("a@1", f"a:0-{n}", 4) for n in range(0, 2000, 10)]
    lay_mixture(
        lake,
        [manifest],
        Mixture(),
        context=100,
        sequences=52,
        seed=1,
        out=tmp_path / "mixture",
        scratch=tmp_path / "survey",
        repeats=repeats,
    )
    order = np.load(streams.stream_path(tmp_path / "mixture", 0, 0, "order"))
    assert len(order) == 1800 + 200 * 4
    places = {n: np.flatnonzero(order == n) for n in range(2000)}
    gaps = np.concatenate([np.diff(places[n]) for n in range(0, 2000, 10)])
    assert len(gaps) == 600
    # A quarter of the epoch's 2,600 uses, give or take.
    assert gaps.min() > 500 and gaps.max() < 800
    singles = order[order % 10 != 0]
    assert abs(np.corrcoef(np.arange(len(singles)), singles)[0, 1]) < 0.1
