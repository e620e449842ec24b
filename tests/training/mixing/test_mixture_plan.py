from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tagarela_dagster.recipe.mixture import Mixture, Tiers, Varieties, Weight
from tagarela_dagster.training.mixing.filling import FullError, Limit, fill
from tagarela_dagster.training.mixing.mixture_plan import Cell, phase_lengths, plan_cells
from tagarela_dagster.training.mixing.plan_report import source_rows, warnings
from tagarela_dagster.training.mixing.shares import MixtureError
from tagarela_dagster.training.mixing.strata import Stratum
from tagarela_dagster.training.mixing.survey import Unit


def unit(source: str, tokens: int, **sides: str) -> Unit:
    return Unit(source, Stratum(**sides), 1, 1, tokens, 1)


def cells_of(
    units: list[Unit] | dict[str, int], section: Mixture, context: int, sequences: int
) -> list[Cell]:
    if isinstance(units, dict):
        units = [unit(name, tokens) for name, tokens in units.items()]
    cells = plan_cells(units, section, context, sequences)
    assert sum(cell.sequences for cell in cells) == sequences
    return cells


def sequences_of(
    units: list[Unit] | dict[str, int], section: Mixture, context: int, sequences: int
) -> dict[str, int]:
    return {c.label: c.sequences for c in cells_of(units, section, context, sequences)}


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
    cells = cells_of({"a": 1000, "b": 50, "c": 1000}, section, 10, 100)
    rows = source_rows({"a": [], "b": [], "c": []}, cells, section, 10, 100)
    assert [row["capped"] for row in rows] == [False, True, False]
    assert [row["wanted_share"] for row in rows] == [0.25, 0.25, 0.5]
    assert warnings([c.unit for c in cells], cells, section, 10) == [
        "b: 10.00% instead of the wanted 25.00%: its epochs are used up"
    ]


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


def test_a_temperature_of_two_is_the_square_root_of_the_size() -> None:
    section = Mixture(by="temperature", temperature=2, max_epochs=100)
    assert sequences_of({"a": 9000, "b": 1000}, section, 10, 4) == {"a": 3, "b": 1}
    assert sequences_of({"a": 9000, "b": 1000}, section, 1, 100_000)["a"] == 75_000
    one = Mixture(by="temperature", temperature=1)
    sizes = {"a": 7000, "b": 1234, "c": 77}
    assert sequences_of(sizes, one, 10, 700) == sequences_of(sizes, Mixture(), 10, 700)


def test_fixed_epochs_are_given_exactly_and_the_others_share_the_rest() -> None:
    section = Mixture(sources={"b": Weight(epochs=2.3)})
    found = sequences_of({"a": 3000, "b": 100, "c": 1000}, section, 10, 223)
    assert found == {"a": 150, "b": 23, "c": 50}


def test_fixed_epochs_that_do_not_fit_say_so() -> None:
    section = Mixture(sources={"a": Weight(epochs=2)})
    with pytest.raises(MixtureError, match="with fixed epochs give 20 sequences, 30 are planned"):
        sequences_of({"a": 100}, section, 10, 30)


def test_a_tier_factor_multiplies_the_tokens_of_its_stratum() -> None:
    tiers = Tiers(signal="perplexity", cuts=[100, 500], names=["head", "middle", "tail"])
    units = [unit("a", 100, tier="head"), unit("a", 200, tier="tail"), unit("b", 300, tier="tail")]
    section = Mixture(tiers=tiers.model_copy(update={"weights": {"head": 3.0, "tail": 0.5}}))
    found = sequences_of(units, section, 10, 55)
    assert found == {"a/head": 30, "a/tail": 10, "b/tail": 15}
    section = Mixture(by="weights", sources={"a": Weight(), "b": Weight()}, tiers=section.tiers)
    assert sequences_of(units, section, 10, 16) == {"a/head": 6, "a/tail": 2, "b/tail": 8}


def test_varieties_get_their_target_shares() -> None:
    units = [
        unit("a", 100, variety="pt-PT"),
        unit("a", 800, variety="pt-BR"),
        unit("b", 100, variety="pt-PT"),
        unit("b", 50, variety="unknown"),
    ]
    section = Mixture(varieties=Varieties(shares={"pt-PT": 0.5, "pt-BR": 0.4}), max_epochs=9)
    assert sequences_of(units, section, 1, 1000) == {
        "a/pt-PT": 250,
        "a/pt-BR": 400,
        "b/pt-PT": 250,
        "b/unknown": 100,
    }
    with pytest.raises(MixtureError, match="'pt-AO'.*no document"):
        sequences_of(units, Mixture(varieties=Varieties(shares={"pt-AO": 0.1})), 1, 10)


def test_caps_hold_and_the_rest_stays_proportional() -> None:
    units = [
        unit("a", 600, variety="pt-BR", license="CC-BY-SA*"),
        unit("b", 200, variety="pt-BR", license="other"),
        unit("c", 100, variety="pt-PT", license="other"),
        unit("d", 100, variety="pt-PT", license="other"),
    ]
    caps = [{"license": "CC-BY-SA*", "max_share": 0.3}, {"source": "d", "max_share": 0.1}]
    section = Mixture.model_validate({"caps": caps})
    found = list(sequences_of(units, section, 1, 100).values())
    assert found == [30, 40, 20, 10]
    section = Mixture.model_validate({"caps": [{"variety": "pt-BR", "max_share": 0.5}]})
    assert list(sequences_of(units, section, 1, 100).values()) == [38, 12, 25, 25]


def test_caps_that_cannot_hold_are_named() -> None:
    units = [unit("a", 100, variety="pt-BR"), unit("b", 100, variety="pt-PT")]
    caps = [{"variety": "pt-*", "max_share": 0.5}]
    with pytest.raises(MixtureError) as error:
        sequences_of(units, Mixture.model_validate({"caps": caps}), 1, 100)
    assert "the sources give 50 within their epochs and caps" in str(error.value)
    assert "the cap variety pt-* <= 0.5 is reached" in str(error.value)


def test_overlapping_caps_that_stop_growth_too_early_are_still_filled() -> None:
    # Growing alike, all three stop at 5; without b, 10 + 10 fit.
    caps = [Limit("x", frozenset("ab"), 10), Limit("y", frozenset("bc"), 10)]
    wanted = dict.fromkeys("abc", Fraction(1))
    assert fill(20, wanted, dict.fromkeys("abc", 99), caps) == {"a": 10, "b": 0, "c": 10}
    with pytest.raises(FullError) as error:
        fill(21, wanted, dict.fromkeys("abc", 99), caps)
    assert error.value.most == 20
    assert {limit.name for limit in error.value.full} == {"x", "y"}


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_filling_sums_exactly_holds_every_limit_and_fails_only_when_nothing_fits(
    data: st.DataObject,
) -> None:
    names = "abcdef"[: data.draw(st.integers(1, 6))]
    wanted = {n: Fraction(data.draw(st.integers(1, 50))) for n in names}
    limits = {n: data.draw(st.integers(0, 40)) for n in names}
    caps = [
        Limit(f"cap {i}", frozenset(data.draw(st.sets(st.sampled_from(names)))), most)
        for i, most in enumerate(data.draw(st.lists(st.integers(0, 60), max_size=3)))
    ]
    total = data.draw(st.integers(1, 100))
    bounds = [(0, limits[n]) for n in names]
    rows = [[float(n in cap.units) for n in names] for cap in caps] or [[0.0] * len(names)]
    tops = [cap.most for cap in caps] or [0]
    most = -linprog([-1.0] * len(names), A_ub=rows, b_ub=tops, bounds=bounds).fun
    try:
        found = fill(total, wanted, limits, caps)
    except FullError as error:
        assert error.most < total
        assert most < total + 1
        return
    assert sum(found.values()) == total <= most + 1e-6
    assert all(0 <= found[n] <= limits[n] for n in names)
    assert all(sum(found[n] for n in cap.units) <= cap.most for cap in caps)


def phases(*rules: dict[str, Any], **section: Any) -> Mixture:
    return Mixture.model_validate({"phases": list(rules), **section})


def test_phases_have_rules_of_their_own_and_epochs_count_over_all() -> None:
    units = [unit("a", 100, tier="low"), unit("a", 50, tier="high"), unit("b", 100, tier="low")]
    section = phases(
        {"name": "general", "share": 0.8},
        {"name": "annealing", "tiers": {"low": 0.0}, "sources": {"b": {"weight": 0}}},
        tiers={"signal": "s", "cuts": [1], "names": ["low", "high"]},
        max_epochs=2,
    )
    found = sequences_of(units, section, 1, 250)
    assert found == {
        "general:a/low": 80,
        "general:a/high": 40,
        "general:b/low": 80,
        "annealing:a/low": 0,
        "annealing:a/high": 50,
        "annealing:b/low": 0,
    }
    # 50 tokens x 2 epochs, of which the general phase has taken 48.
    with pytest.raises(MixtureError, match=r"needs 60 tokens .*the sources give 52 within"):
        sequences_of(units, section, 1, 300)


def test_fixed_epochs_are_spread_over_the_phases_by_their_length() -> None:
    section = phases(
        {"name": "one", "sequences": 70},
        {"name": "two", "share": 0.25},
        {"name": "three"},
        sources={"b": {"epochs": 1.5}},
    )
    found = sequences_of({"a": 1000, "b": 30}, section, 1, 200)
    assert [found[f"{name}:b"] for name in ("one", "two", "three")] == [16, 11, 18]
    assert sum(n for label, n in found.items() if label.endswith(":b")) == 45


def test_lengths_of_phases_sum_to_the_run_or_say_why_not() -> None:
    section = phases({"name": "a", "share": 0.33}, {"name": "b", "share": 0.33}, {"name": "c"})
    assert phase_lengths(section.phases, 100) == [33, 33, 34]
    section = phases({"name": "a", "sequences": 30}, {"name": "b", "sequences": 30})
    with pytest.raises(MixtureError, match=r"0\.6 of the run's 100 sequences"):
        phase_lengths(section.phases, 100)


def test_many_repeats_are_warned_of() -> None:
    units = [Unit("a", Stratum(), 10, 14, 100, 5)]
    cells = plan_cells(units, Mixture(), 10, 12)
    assert warnings(units, cells, Mixture(), 10) == [
        "a: 1.20 epochs, a document up to 10 times (over 4, repeated text teaches less: "
        "arXiv 2305.16264)"
    ]


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"sources": {"a": {"epochs": 1, "weight": 2}}}, "epochs is fixed"),
        ({"tiers": {"signal": "s", "cuts": [2, 1]}}, "cuts must rise"),
        ({"caps": [{"max_share": 0.5}]}, "a cap names"),
        ({"caps": [{"tier": "x", "max_share": 0.5}]}, "say what the tiers are"),
        ({"phases": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.2}]}, "sum to 0.7"),
        ({"varieties": {"shares": {"pt-PT": 0.7, "pt-BR": 0.7}}}, "more than 1"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Mixture.model_validate(section)
