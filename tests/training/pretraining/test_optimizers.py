from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.environment import training_environment
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining import muon
from tagarela_dagster.training.pretraining.optimizers import build_optimizer, set_learning_rates
from tests.training.pretraining.optimizer_ranks import SAVED, small_model


def section(**values: Any) -> Pretrain:
    return Pretrain.model_validate({"optimizer": "muon", "steps": 10, "warmup_steps": 4, **values})


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_weight_decay_leaves_out_norms_and_embeddings_and_muon_also_the_head() -> None:
    model = small_model()
    names = {id(p): name for name, p in model.named_parameters()}
    plain: Any = build_optimizer(model, section(optimizer="adamw", weight_decay=0.3))
    both: Any = build_optimizer(model, section(weight_decay=0.3))

    def groups(optimizer: Any) -> list[set[str]]:
        return [{names[id(p)] for p in group["params"]} for group in optimizer.param_groups]

    norms = {name for name in names.values() if "norm" in name}
    apart = {*norms, "model.embed_tokens.weight"}
    assert groups(plain) == [set(names.values()) - apart, apart]
    assert groups(both) == [
        set(names.values()) - apart - {"lm_head.weight"},
        {"lm_head.weight"},
        apart,
    ]
    for optimizer in (plain, both):
        assert [g["weight_decay"] for g in optimizer.param_groups] == [0.3, 0.3, 0.0][
            -len(optimizer.param_groups) :
        ]
        assert all(g["betas"] == (0.9, 0.95) and g["lr"] == 0 for g in optimizer.param_groups)


def test_what_is_frozen_is_not_optimized() -> None:
    model = small_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("q_proj" in name)
    (group,) = build_optimizer(model, section()).param_groups
    assert group["muon"] and [tuple(p.shape) for p in group["params"]] == [(32, 32)] * 2


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_parameters_that_are_no_weights_can_have_a_group_and_a_rate_apart(optimizer: str) -> None:
    model = small_model()
    model.masks = torch.nn.Parameter(torch.ones(3, 4))
    made = section(optimizer=optimizer, learning_rate=1e-3)
    apart = {"params": [model.masks], "weight_decay": 0.0, "peak": 1.0, "maximize": True}
    found: Any = build_optimizer(model, made, [apart])
    set_learning_rates(found, made, 0)
    assert found.param_groups[-1]["lr"] == 0.25 and found.param_groups[-1]["maximize"]
    everything = [id(p) for group in found.param_groups for p in group["params"]]
    assert len(everything) == len(set(everything)) == len(list(model.parameters()))


def test_matrices_have_a_rate_of_their_own_on_the_schedule_of_the_rest() -> None:
    optimizer: Any = build_optimizer(small_model(), section(learning_rate=1e-3))
    assert set_learning_rates(optimizer, section(learning_rate=1e-3), 1) == 5e-4
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 5e-4, 5e-4]


@pytest.mark.parametrize("shape", [(32, 32), (88, 32), (32, 88), (16, 32)])
def test_muon_steps_a_matrix_as_torchs_own_does(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch iterates in bf16; the iteration is compared in the next test.
    monkeypatch.setattr(
        "torch.optim._muon._zeropower_via_newtonschulz",
        lambda gradient, _, steps, __: muon.orthogonalize(gradient, steps, torch.float32),
    )
    ours, theirs = (torch.nn.Linear(*shape[::-1], bias=False) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    first = ours.weight.detach().clone()
    ours.get_output_embeddings = lambda: None  # type: ignore[assignment]
    made = section(weight_decay=0.1, warmup_steps=0, schedule="constant")
    optimizer: Any = build_optimizer(ours, made)
    reference = torch.optim.Muon(theirs.parameters(), lr=0.02, weight_decay=0.1, momentum=0.95)
    for step in range(4):
        set_learning_rates(optimizer, made, step)
        gradient = draw(*shape) * (step + 1)
        ours.weight.grad, theirs.weight.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        reference.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-6)
    assert (ours.weight - first).abs().max() > 0.01


def test_in_the_precision_of_torch_the_iteration_is_torchs_to_the_last_digit() -> None:
    from torch.optim._muon import EPS, _zeropower_via_newtonschulz

    for shape in ((32, 32), (88, 32), (32, 88)):
        expected = _zeropower_via_newtonschulz(draw(*shape), muon.COEFFICIENTS, 5, EPS)
        assert torch.equal(muon.orthogonalize(draw(*shape), 5, torch.bfloat16), expected)


def test_an_orthogonalized_matrix_has_singular_values_near_1() -> None:
    values = torch.linalg.svdvals(muon.orthogonalize(draw(64, 40), 5, torch.float32))
    assert values.min() > 0.6 and values.max() < 1.3
    exact = torch.linalg.svd(draw(64, 40), full_matrices=False)
    cosine = torch.nn.functional.cosine_similarity(
        muon.orthogonalize(draw(64, 40), 5, torch.float32).flatten(),
        (exact.U @ exact.Vh).flatten(),
        dim=0,
    )
    assert cosine > 0.98


shapes = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=7)


@settings(max_examples=200, deadline=None)
@given(shapes=shapes, ranks=st.integers(1, 5))
def test_pieces_of_shards_cover_each_matrix_once(shapes: list[tuple[int, int]], ranks: int) -> None:
    sizes = [rows * columns for rows, columns in shapes]
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    shard = -(-sum(sizes) // ranks)
    flat = torch.arange(shard * ranks)
    divided = muon.consecutive(shapes, offsets, shard)
    parts = [-(-size // ranks) for size in sizes]
    for matrices, shards in (
        (divided, flat.view(ranks, shard)),
        (muon.interleaved(shapes, ranks), _zero3(flat, offsets, sizes, parts, ranks)),
    ):
        assert [(m.rows, m.columns) for m in matrices] == shapes
        for matrix, offset, size in zip(matrices, offsets, sizes, strict=True):
            whole = torch.full((size,), -1)
            for p in matrix.pieces:
                assert (whole[p.offset : p.offset + p.length] == -1).all() and p.length > 0
                whole[p.offset : p.offset + p.length] = shards[p.rank, p.start : p.start + p.length]
            assert torch.equal(whole, flat[offset : offset + size])
        exchanges = [muon.Exchange(matrices, rank, ranks, "cpu") for rank in range(ranks)]
        assert sum(len(e.matrices) for e in exchanges) == len(shapes), "each matrix has one owner"


def _zero3(
    flat: torch.Tensor, offsets: list[int], sizes: list[int], parts: list[int], ranks: int
) -> torch.Tensor:
    rows = []
    for rank in range(ranks):
        row = []
        for offset, size, part in zip(offsets, sizes, parts, strict=True):
            piece = flat[offset : offset + size][rank * part : (rank + 1) * part]
            row.append(torch.nn.functional.pad(piece, (0, part - len(piece)), value=-7))
        rows.append(torch.cat(row))
    return torch.stack(rows)


def test_a_shard_that_muon_knows_nothing_of_is_refused() -> None:
    optimizer: Any = build_optimizer(small_model(), section())
    shard = torch.nn.Parameter(torch.ones(40))
    optimizer.param_groups[0]["params"] = [shard]
    shard.grad = torch.zeros(40)
    optimizer.step()
    assert torch.equal(shard.detach(), torch.ones(40)), "DeepSpeed's first step changes nothing"
    shard.grad = torch.ones(40)
    with pytest.raises(TrainingError, match=r"call optimizers\.attach"):
        optimizer.step()


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Losses on two ranks; how: optimizer_ranks.py."""
    out: Path = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node=2", "-m", "tests.training.pretraining.optimizer_ranks", str(out)]
    done = subprocess.run(
        command, env=training_environment(2), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    found: dict[str, list[float]] = json.loads((out / "losses.json").read_text())
    return found


@pytest.mark.train
def test_muon_takes_the_same_steps_under_every_zero_stage(losses: dict[str, list[float]]) -> None:
    assert losses["zero0"][-1] < losses["zero0"][0] - 0.4
    for run in ("zero1", "zero2", "zero3", "offloaded zero2", "offloaded zero3"):
        assert losses[run] == pytest.approx(losses["zero0"], abs=1e-5)
    assert losses["bf16 zero2"] == pytest.approx(losses["bf16 zero0"], abs=1e-3)
    assert losses["zero0"] != pytest.approx(losses["adamw"], abs=1e-2)


@pytest.mark.train
def test_muon_resumes_exactly_and_under_another_stage(losses: dict[str, list[float]]) -> None:
    for stage in (0, 1, 2, 3):
        assert losses[f"zero{stage} resumed"] == losses[f"zero{stage}"][SAVED:]
    assert losses["zero2 resumed as zero3"] == pytest.approx(losses["zero2"][SAVED:], abs=1e-6)
