from __future__ import annotations

import pytest
import torch

from tagarela_dagster.training.merging.rules import linear, slerp, ties


def test_a_linear_merge_is_the_weighted_mean() -> None:
    merged = linear([torch.tensor([0.0, 4.0]), torch.tensor([4.0, 0.0])], [3.0, 1.0])
    assert merged.tolist() == [1.0, 3.0]


def test_slerp_goes_along_the_arc_and_keeps_the_norm() -> None:
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    halfway = slerp([first, second], [0.5, 0.5])
    assert halfway.tolist()[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    third = slerp([first, second], [2.0, 1.0])
    # A third of 90 degrees.
    assert third.tolist()[0] == pytest.approx([3**0.5 / 2, 0.5])
    assert slerp([first, first * 2], [1.0, 1.0]).tolist() == [[1.5, 0.0]]


def test_ties_trims_elects_a_sign_and_merges_what_agrees() -> None:
    origin = torch.tensor([1.0, 1.0, 1.0, 1.0])
    one = origin + torch.tensor([4.0, 3.0, 0.1, 0.0])
    two = origin + torch.tensor([2.0, -5.0, 0.0, 0.1])
    merged = ties([one, two], [1.0, 1.0], origin, density=0.5)
    # Kept of each: the two largest. First: both agree, mean 3. Second: 3 against -5, minus wins.
    assert merged.tolist() == pytest.approx([4.0, -4.0, 1.0, 1.0])


def test_ties_of_one_model_with_everything_kept_is_that_model() -> None:
    torch.manual_seed(0)
    origin, tuned = torch.randn(5, 7), torch.randn(5, 7)
    assert torch.allclose(ties([tuned, tuned], [1.0, 3.0], origin, density=1.0), tuned, atol=1e-6)
