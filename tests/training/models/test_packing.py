from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tagarela_dagster.recipe.pretraining import Pretrain, Ramp
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.sampler import Sampler, open_sampler
from tagarela_dagster.training.pretraining.data import IGNORED, Batches, next_tokens
from tests.training.tiny_run import CONTEXT, tiny_run


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    folder: Path = tmp_path_factory.mktemp("packing")
    run = tiny_run(folder)
    return open_sampler(run.inputs["mixture"], run.inputs["lake"])


def settings(processes: int, micro_batch: int, accumulation: int) -> Pretrain:
    return Pretrain(
        steps=3, processes=processes, micro_batch=micro_batch, accumulation=accumulation
    )


def tokens_of_step(sampler: Sampler, section: Pretrain, step: int) -> list[tuple[int, ...]]:
    rows = []
    for rank in range(section.processes):
        for batch in Batches(sampler, section, rank, section.processes).step(step):
            assert batch.tokens.shape == (section.micro_batch, CONTEXT)
            rows += [tuple(row.tolist()) for row in batch.tokens]
    return sorted(rows)


@pytest.mark.parametrize("division", [(2, 2, 1), (2, 1, 2), (1, 4, 1), (1, 1, 4), (4, 1, 1)])
def test_a_step_has_the_same_sequences_however_it_is_divided(
    division: tuple[int, int, int], sampler: Sampler
) -> None:
    for step in range(3):
        expected = sorted(
            tuple(sampler.sequence(k).tokens.tolist()) for k in range(4 * step, 4 * step + 4)
        )
        assert tokens_of_step(sampler, settings(*division), step) == expected


def test_a_document_ends_with_a_label_and_its_first_word_is_told_by_the_end_token(
    sampler: Sampler,
) -> None:
    (batch,) = Batches(sampler, settings(1, 4, 1), 0, 1).step(0)
    starts = batch.positions[:, 1:] == 0
    assert starts.sum() >= 3, "the sequences must hold several documents"
    assert (batch.targets[starts] == sampler.eos).all()
    assert torch.equal(batch.targets, batch.tokens[:, 1:])
    assert batch.predicted == 4 * (CONTEXT - 1)


def test_the_first_word_of_a_document_without_an_opening_end_token_is_no_target() -> None:
    tokens = np.array([[5, 6, 0, 7, 8, 0]])
    positions = np.array([[0, 1, 2, 0, 1, 2]])
    assert next_tokens(tokens, positions, eos=0).tolist() == [[6, 0, IGNORED, 8, 0]]


def test_a_mixture_that_is_too_short_is_refused(sampler: Sampler) -> None:
    with pytest.raises(TrainingError, match="has 24 sequences, 7 steps need 28"):
        Batches(sampler, Pretrain(steps=7, processes=2, micro_batch=2), 0, 2)


def ramped(processes: int, micro_batch: int, accumulation: int) -> Pretrain:
    return Pretrain(
        steps=4,
        processes=processes,
        micro_batch=micro_batch,
        accumulation=accumulation,
        ramp=Ramp(start=0.25, steps=3),
    )


@pytest.mark.parametrize("division", [(1, 4, 1), (2, 2, 1), (2, 1, 2), (4, 1, 1)])
def test_on_a_ramp_each_step_takes_the_next_sequences_and_ranks_stay_in_line(
    division: tuple[int, int, int], sampler: Sampler
) -> None:
    section = ramped(*division)
    assert [section.batch(step) for step in range(4)] == [1, 2, 3, 4]
    first = 5
    made = [Batches(sampler, section, r, section.processes, first) for r in range(division[0])]
    assert [made[0].sequences(step) for step in range(4)] == [
        range(5, 6),
        range(6, 8),
        range(8, 11),
        range(11, 15),
    ]
    for step in range(4):
        parts = [batches.step(step) for batches in made]
        assert len({len(part) for part in parts}) == 1, "or a rank would wait for ever"
        found = []
        for batch in (batch for part in parts for batch in part):
            assert batch.tokens.shape == (section.micro_batch, CONTEXT)
            real = len(batch.cells)
            found += [tuple(row.tolist()) for row in batch.tokens[:real]]
            assert (batch.targets[real:] == IGNORED).all()
            assert batch.predicted == real * (CONTEXT - 1)
        wanted = [tuple(sampler.sequence(k).tokens.tolist()) for k in made[0].sequences(step)]
        assert sorted(found) == sorted(wanted)
