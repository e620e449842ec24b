from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.stage import StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.pruning.tiny_prune import into, tiny_stage, with_stage
from tests.training.tiny_run import TEXTS

VOCABULARY, TOKENS = 30, 23
DISTILL = {"kind": "distill", "parent": None, "teacher": "pretrain", "steps": 6, "weight": 0.5}


def heads(seed: int = 0, bias: bool = True) -> tuple[Any, Any, Any, Any, Any]:
    """Hidden states and heads of a student and of a wider teacher, and targets."""
    import torch

    torch.manual_seed(seed)
    student, teacher = torch.nn.Linear(8, VOCABULARY, bias), torch.nn.Linear(12, VOCABULARY)
    hidden, taught = torch.randn(TOKENS, 8, requires_grad=True), torch.randn(TOKENS, 12)
    targets = torch.randint(VOCABULARY, (TOKENS,))
    targets[[3, 11]] = -100
    return hidden, student, taught, teacher.requires_grad_(False), targets


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("chunk", [4 * VOCABULARY, 1 << 20])
def test_chunks_give_the_loss_and_the_gradient_of_the_formula(
    share: float, temperature: float, chunk: int
) -> None:
    import torch
    import torch.nn.functional as functional

    from tagarela_dagster.training.pruning.divergence import distilled

    hidden, student, taught, teacher, targets = heads()
    inputs = [hidden, student.weight, student.bias]
    logits, told = student(hidden), teacher(taught)
    ce = functional.cross_entropy(logits, targets, reduction="sum")
    kept = targets != -100
    divergence = functional.kl_div(
        (logits / temperature).log_softmax(-1)[kept],
        (told / temperature).log_softmax(-1)[kept],
        log_target=True,
        reduction="sum",
    )
    norms = 0.01 * logits.logsumexp(-1).square()[kept].sum()
    wanted = (1 - share) * ce + share * temperature**2 * divergence + norms
    settings: dict[str, Any] = {"share": share, "temperature": temperature, "z_loss": 0.01}
    found, sums = distilled(
        hidden, student.weight, student.bias, targets, taught, teacher, chunk=chunk, **settings
    )
    assert torch.allclose(found, wanted, rtol=1e-6)
    assert torch.allclose(sums, torch.stack([ce, divergence]), rtol=1e-6)
    for one, other in zip(
        torch.autograd.grad(found * 3, inputs),
        torch.autograd.grad(wanted * 3, inputs),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_student_that_is_its_teacher_learns_nothing_more_from_it() -> None:
    import torch

    from tagarela_dagster.training.pruning.divergence import distilled

    hidden, student, _, _, targets = heads()
    objective, sums = distilled(
        hidden, student.weight, student.bias, targets, hidden.detach(), student, share=1.0
    )
    objective.backward()
    assert float(sums[1].abs()) < 1e-6
    assert float(objective.detach().abs()) < 1e-6
    for gradient in (hidden.grad, student.weight.grad, student.bias.grad):
        assert gradient is not None and float(gradient.abs().max()) < 1e-6
    assert torch.isfinite(sums[0]) and sums[0] > 0


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> StageRun:
    """Six steps on two ranks, from a teacher of random weights."""
    run = with_stage(tiny_stage(tmp_path_factory.mktemp("distill")), "young", DISTILL)
    run_stage(run)
    return run


@pytest.mark.train
def test_two_ranks_learn_from_the_text_and_from_the_teacher(taught: StageRun) -> None:
    rows = read_metrics(taught.out)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.2
    assert all(row["divergence"] > 0 for row in rows)
    result = run_stage(taught)
    assert result["divergence_last"] == rows[-1]["divergence"]
    assert result["folders"] == {"model": "checkpoints/step-000006/model"}
    assert result["export_difference"] < 1e-4


@pytest.mark.train
def test_a_distillation_that_was_stopped_goes_on_exactly(taught: StageRun) -> None:
    wanted = read_metrics(taught.out)
    (taught.out / "result.json").unlink()
    (taught.out / "checkpoints" / "step-000006" / "manifest.json").unlink()
    run_stage(taught)
    told = (taught.out / "log.txt").read_text().rsplit("== ", 1)[-1]
    assert "from step 4" in told
    names = ("loss", "divergence", "gradient_norm")
    found = read_metrics(taught.out)
    assert [[row[n] for n in names] for row in found] == [[r[n] for n in names] for r in wanted]


def test_a_teacher_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    from tagarela_dagster.recipe.tokens import Tokenizer
    from tagarela_dagster.training.pruning.distill import TeacherLoss, load_teacher
    from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
    from tests.training.pruning.test_cut import whole_model

    run = with_stage(tiny_stage(tmp_path), "young", DISTILL)
    teacher = load_teacher(into(run, "fp32", teacher_precision="fp32"))
    with pytest.raises(TrainingError, match="student predicts 60 tokens and the teacher 300"):
        TeacherLoss(whole_model("llama"), teacher, 0.5)
    other = run.inputs["pretrain"] / "model"
    train_tokenizer(TEXTS, Tokenizer(vocabulary=310, min_frequency=1), other)
    with pytest.raises(
        TrainingError, match=r"pretrain has a vocabulary of 310 .* mixture's of 300"
    ):
        load_teacher(run)
