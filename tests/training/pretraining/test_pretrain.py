from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.checkpointing import checkpoints
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.run_folder import RunLock
from tagarela_dagster.training.mixing.sampler import open_sampler
from tagarela_dagster.training.stage import MODULE, StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.process_tree import processes_of, wait_until_gone
from tests.training.tiny_run import CONTEXT, into, tiny_run

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StageRun:
    """Six steps on two ranks, never interrupted."""
    folder: Path = tmp_path_factory.mktemp("pretrain")
    run = tiny_run(folder)
    with pytest.MonkeyPatch.context() as patch:
        # As on a user's machine: drawn in TensorBoard, its energy watched.
        patch.delenv("TAGARELA_TRACKING", raising=False)
        patch.delenv("TAGARELA_TRACKING_MODE", raising=False)
        run_stage(run)
    return run


def losses(run: StageRun) -> list[float]:
    return [row["loss"] for row in read_metrics(run.out)]


def command(run: StageRun) -> list[str]:
    recipe = run.out.parent / f"{run.out.name}.yaml"
    recipe.write_text(json.dumps(run.recipe.as_json()))
    arguments = ["--recipe", str(recipe), "--scale", "full", "--stage", run.name]
    for role, path in run.inputs.items():
        arguments += ["--input", f"{role}={path}"]
    return [sys.executable, "-m", MODULE, *arguments, "--out", str(run.out)]


def test_a_line_of_metrics_is_there_for_each_step_and_the_loss_falls(
    finished: StageRun,
) -> None:
    rows = read_metrics(finished.out)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["tokens"] for row in rows] == [4 * CONTEXT * step for step in range(1, 7)]
    # An untrained model is as good as a guess among 300 tokens: ln 300 = 5.70.
    assert rows[0]["loss"] == pytest.approx(5.70, abs=0.1)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    assert [row["learning_rate"] for row in rows][:2] == [0.005, 0.01]
    assert all(row["gradient_norm"] > 0 and row["tokens_per_second"] > 0 for row in rows)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)


def test_a_run_is_drawn_in_tensorboard(finished: StageRun) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.out / "tensorboard")).Reload().Scalars("loss")
    assert [event.step for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in events] == pytest.approx(losses(finished), rel=1e-6)


def test_consumed_tokens_reconcile_with_the_mixtures_plan(finished: StageRun) -> None:
    plan = open_sampler(finished.inputs["mixture"], finished.inputs["lake"]).plan
    consumed = read_metrics(finished.out)[-1]["tokens_per_source"]
    assert consumed == {s["name"]: s["planned_tokens"] for s in plan["sources"]}


def test_a_finished_run_leaves_its_result_and_does_nothing_when_started_again(
    finished: StageRun,
) -> None:
    result = json.loads((finished.out / "result.json").read_text())
    assert result["checkpoints"] == ["step-000003", "step-000006"]
    assert (result["steps"], result["tokens"]) == (6, 24 * CONTEXT)
    assert [result["loss_first"], result["loss_last"]] == losses(finished)[:: len("steps")]
    before = (finished.out / "log.txt").read_bytes()
    assert run_stage(finished) == result
    assert (finished.out / "log.txt").read_bytes() == before


def test_a_checkpoint_is_a_model_that_any_program_loads(finished: StageRun) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    last = checkpoints.published(finished.out)[-1]
    last.verify("model")
    loaded: Any = AutoModelForCausalLM.from_pretrained(last.model, output_loading_info=True)
    model, report = loaded
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert last.record["parameters"] == sum(p.numel() for p in model.parameters())
    tokenizer = AutoTokenizer.from_pretrained(last.model)
    assert len(tokenizer) == model.config.vocab_size
    # The last step's loss was on the weights before it; the weights after it are better.
    sampler = open_sampler(finished.inputs["mixture"], finished.inputs["lake"])
    rows = [sampler.sequence(k) for k in range(20, 24)]
    tokens = torch.tensor([row.tokens.tolist() for row in rows])
    positions = torch.tensor([row.positions.tolist() for row in rows])
    with torch.no_grad():
        logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert losses(finished)[-1] - 0.3 < loss < losses(finished)[-1]


def test_other_settings_are_refused_in_one_sentence(finished: StageRun) -> None:
    with pytest.raises(TrainingError, match=r"other settings \(stage differ\)"):
        run_stage(into(finished, finished.out, learning_rate=0.5))


def test_zero_3_with_accumulation_trains_the_same_model(finished: StageRun, tmp_path: Path) -> None:
    other = into(finished, tmp_path / "run", zero_stage=3, micro_batch=1, accumulation=2)
    run_stage(other)
    assert losses(other) == pytest.approx(losses(finished), abs=1e-5)
    (both,) = ({c.record["parameters"] for r in (finished, other) for c in all_of(r)},)
    assert len(both) == 1


def all_of(run: StageRun) -> list[checkpoints.Checkpoint]:
    return checkpoints.published(run.out)


def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same_losses(
    finished: StageRun, tmp_path: Path
) -> None:
    run = into(finished, tmp_path / "run")
    launcher = subprocess.Popen(command(run))
    first = run.out / "checkpoints" / "step-000003" / "manifest.json"
    deadline = time.monotonic() + 120
    while not first.exists():
        assert time.monotonic() < deadline and launcher.poll() is None
        time.sleep(0.01)
    # Launcher, supervisor, torchrun, two ranks.
    assert len(processes_of(run.out)) >= 5
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    assert wait_until_gone(run.out, 10) == {}
    lock = RunLock(run.out)
    lock.take(wait_seconds=0)
    lock.release()
    # As if the kill had come in the middle of the next save, however far the ranks got.
    for name in ("manifest.json", "model/config.json"):
        (run.out / "checkpoints" / "step-000006" / name).unlink(missing_ok=True)
    (run.out / "result.json").unlink(missing_ok=True)

    seen: list[Any] = []
    run_stage(run, on_poll=lambda: seen.append(len(read_metrics(run.out))))
    assert seen[0] == 3, "metrics start at the checkpoint"
    assert "from step 3" in (run.out / "log.txt").read_text().rsplit("== ", 1)[-1]
    assert losses(run) == losses(finished)
    weights = [c.model / "model.safetensors" for r in (run, finished) for c in all_of(r)]
    assert len({path.read_bytes() for path in weights}) == 2


def test_a_loss_that_is_no_number_stops_the_run_and_says_so(
    finished: StageRun, tmp_path: Path
) -> None:
    wild: dict[str, Any] = {
        "learning_rate": 1.0,
        "weight_decay": 1e38,
        "warmup_steps": 0,
        "micro_batch": 4,
    }
    run = into(finished, tmp_path / "run", processes=1, checkpoint_every=1, **wild)
    with pytest.raises(
        TrainingError, match=r"of step \d is (nan|inf) \(sequences \d+ to .*lower learning_rate"
    ):
        run_stage(run)
    rows = read_metrics(run.out)
    assert 0 < len(rows) < 6
    assert [c.step for c in all_of(run)] == [row["step"] for row in rows]
