from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagarela_dagster.evals.statistics import proportion_interval, ratio_interval


def hits(correct: int, items: int) -> list[bool]:
    return [True] * correct + [False] * (items - correct)


@pytest.mark.parametrize(
    ("correct", "items", "low", "high"),
    [
        # scipy.stats.binomtest(k, n).proportion_ci(0.95, "exact")
        (0, 20, 0.0, 0.1684335),
        (20, 20, 0.8315665, 1.0),
        (5, 20, 0.0865715, 0.4910459),
        (81, 263, 0.2527367, 0.3676219),
        (1, 1, 0.025, 1.0),
    ],
)
def test_ungrouped_items_have_the_exact_interval(
    correct: int, items: int, low: float, high: float
) -> None:
    assert proportion_interval(hits(correct, items)) == pytest.approx((low, high), abs=1e-6)


def test_groups_of_one_change_nothing() -> None:
    plain = proportion_interval(hits(5, 20))
    assert proportion_interval(hits(5, 20), [str(i) for i in range(20)]) == plain
    assert proportion_interval(hits(5, 20), [None] * 20) == plain


def test_items_that_always_agree_with_their_group_count_once() -> None:
    outcome = [bool(i % 4 == 0) for i in range(20) for _ in range(10)]
    groups = [str(i) for i in range(20) for _ in range(10)]
    low, high = proportion_interval(outcome, groups)
    alone_low, alone_high = proportion_interval(outcome[::10])
    assert (low, high) == pytest.approx((alone_low, alone_high), abs=0.02)
    assert high - low > 2.5 * np.subtract(*proportion_interval(outcome)[::-1])


def test_when_no_item_is_right_each_group_counts_once() -> None:
    groups = [str(i // 5) for i in range(100)]
    assert proportion_interval([False] * 100, groups) == proportion_interval([False] * 20)


@given(outcome=st.lists(st.booleans(), min_size=1, max_size=60), size=st.integers(1, 7))
def test_a_proportion_lies_inside_its_interval(outcome: list[bool], size: int) -> None:
    groups = [str(i // size) for i in range(len(outcome))]
    share = sum(outcome) / len(outcome)
    for chosen in (None, groups):
        low, high = proportion_interval(outcome, chosen)
        assert 0 <= low <= share <= high <= 1
        assert high > low


def test_a_ratio_is_weighted_by_its_denominator() -> None:
    bits, size = [100.0, 900.0, 50.0, 420.0], [100, 300, 100, 200]
    low, high = ratio_interval(bits, size)
    assert low < 1470 / 700 < high
    # With equal denominators it is Student's interval of a mean: scipy.stats.t.interval.
    values = [1.1, 1.3, 1.2, 1.6]
    assert ratio_interval([v * 50 for v in values], [50] * 4) == pytest.approx(
        (0.9562, 1.6438), abs=1e-4
    )


def test_more_documents_give_a_narrower_interval() -> None:
    generator = np.random.default_rng(1)
    bits, size = generator.normal(1.2, 0.1, 400) * 1000, np.full(400, 1000)
    wide, narrow = ratio_interval(bits[:25], size[:25]), ratio_interval(bits, size)
    # The standard error of a mean of 400 values of deviation 0.1.
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.15)
    assert wide[1] - wide[0] > 2.5 * (narrow[1] - narrow[0])


def test_one_document_says_nothing_about_the_spread() -> None:
    with pytest.raises(ValueError, match="1 documents: an interval needs at least two"):
        ratio_interval([30.0], [20])


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no items"):
        proportion_interval([])
    with pytest.raises(ValueError, match="0 documents"):
        ratio_interval([], [])
