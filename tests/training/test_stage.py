"""Every kind of stage, killed at moments spread over it and started again: the same result.

TAGARELA_KILLS_A_STAGE sets how often (3 by default), TAGARELA_SEED other moments.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.kinds import KINDS
from tagarela_dagster.training.launching.environment import training_environment
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.sampler import SamplerError, open_sampler
from tagarela_dagster.training.stage import StageRun, run_stage
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.adaptation import parents
from tests.training.alignment import tiny_chat
from tests.training.kill_points import REPORT
from tests.training.process_tree import wait_until_gone
from tests.training.pruning.tiny_prune import PRUNE, tiny_stage, with_stage
from tests.training.tiny_run import tiny_run

pytestmark = pytest.mark.train

KILLS = int(os.environ.get("TAGARELA_KILLS_A_STAGE", "3"))
SEED = int(os.environ.get("TAGARELA_SEED", "4"))
TUNED: dict[str, Any] = {"processes": 2, "steps": 4, "checkpoint_every": 2, "zero_stage": 2}
JUDGED = {"held_out": 0.3, "max_answer": 6}
SHORT = {"steps": 4, "checkpoint_every": 2}
TIMED = ("second", "tflops", "mfu", "memory_bytes", "cost")


def stages(folder: Path, out: Path) -> list[StageRun]:
    """A run of each kind; inputs of some are what the undisturbed run of others leaves."""
    tokens = tiny_stage(folder / "tokens", sequences=80)
    base = parents.make_parent(folder / "base")
    made = parents.make_parent(folder / "other")
    adapted = folder / "adapted"
    parents.adapt(base, adapted, "lora")
    held_out = parents.held_out(folder / "held_out")
    speechless = tiny_chat.make_parent(folder / "speechless")
    chats = [{"messages": messages} for messages in tiny_chat.CONVERSATIONS]
    data = {
        "sft": tiny_chat.write_rows(folder / "chats.jsonl", chats),
        "preference": tiny_chat.write_rows(folder / "pairs.jsonl", tiny_chat.PAIRS),
        "grpo": tiny_chat.write_rows(folder / "prompts.jsonl", tiny_chat.PROMPTS),
    }
    data["reward"] = data["preference"]

    def tuned(kind: str, parent: Path, **fields: Any) -> StageRun:
        return tiny_chat.stage_run(parent, data[kind], out / kind, kind, **TUNED, **fields)

    def over_tokens(name: str, kind: str, **fields: Any) -> StageRun:
        stage = {**PRUNE, **SHORT} if kind == "prune" else {"kind": kind, **SHORT, **fields}
        return replace(with_stage(tokens, name, stage), out=out / kind)

    def made_of(name: str, section: dict[str, Any], **inputs: Path) -> StageRun:
        training = {
            "base": {"made": parents.SHAPE},
            "pretrain": {"parent": "base", "method": "lora"},
            "stages": {"chat": {"kind": "sft", "parent": "pretrain"}, name: section},
        }
        return parents.stage_run(out / section["kind"], name, training, inputs)

    pretrain = with_stage(tokens, "small", PRUNE, steps=6, checkpoint_every=2, zero_stage=2)
    last = {"kind": "average", "last": 2}
    both = {"kind": "merge", "models": {"base": 1, "pretrain": 3}}
    forms = {"kind": "release", "parent": "chat", "forms": ["merged", "adapter", "delta"]}
    return [
        parents.stage_run(out / "base", "base", {"base": {"model": str(base / "model")}}),
        made_of(
            "portuguese",
            {"kind": "surgery"},
            base=base,
            tokenizer=parents.portuguese_tokenizer(folder / "tokenizer"),
            held_out=held_out,
        ),
        made_of("published", forms, base=base, chat=adapted),
        made_of("both", both, base=base, pretrain=made, held_out=held_out),
        replace(pretrain, name="pretrain", out=out / "pretrain"),
        made_of("soup", last, held_out=held_out, **{"pretrain.run": out / "pretrain" / "whole"}),
        over_tokens("small", "prune"),
        over_tokens("young", "distill", parent=None, teacher="pretrain", weight=0.5),
        tuned("sft", speechless, method="full"),
        tuned("preference", out / "sft" / "whole", **JUDGED),
        tuned("reward", out / "sft" / "whole", held_out=0.3),
        tuned("grpo", out / "sft" / "whole", **JUDGED),
    ]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StageRun]:
    """Each kind undisturbed and killed."""
    folder: Path = tmp_path_factory.mktemp("stages")
    runs = stages(folder, folder / "runs")
    rows = [
        {
            "recipe": run.recipe.as_json(),
            "name": run.name,
            "inputs": {role: str(path) for role, path in run.inputs.items()},
            "out": str(run.out),
            "kills": KILLS,
            "seed": SEED + number,
        }
        for number, run in enumerate(runs)
    ]
    plan = folder / "plan.json"
    plan.write_text(json.dumps(rows), encoding="utf-8")
    log = folder / "log.txt"
    with log.open("w") as output:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.training.kill_points", str(plan)],
            env=training_environment(2, {"OMP_NUM_THREADS": "1"}),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert ended.returncode == 0, log.read_text()[-3000:]
    return {run.section.kind: run for run in runs}


def published(out: Path) -> dict[str, bytes]:
    """What a finished run gives away: name -> bytes of each file."""
    result = json.loads((out / "result.json").read_text())
    return {
        f"{name}/{path.relative_to(out / folder).as_posix()}": path.read_bytes()
        for name, folder in result["folders"].items()
        for path in (out / folder).rglob("*")
        if path.is_file()
    }


def steady(row: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on how long something took."""
    return {k: v for k, v in row.items() if not any(word in k for word in TIMED)}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_stage_that_was_killed_ends_as_one_that_was_not(
    killed: dict[str, StageRun], kind: str
) -> None:
    out = killed[kind].out
    kills = json.loads((out / REPORT).read_text())["kills"]
    assert [row["damage"] for row in kills] == [None] * len(kills)
    assert not all(row["finished"] for row in kills)
    whole, other = published(out / "whole"), published(out / "killed")
    assert whole.keys() == other.keys()
    assert [name for name in whole if whole[name] != other[name]] == []
    results = [json.loads((out / name / "result.json").read_text()) for name in ("whole", "killed")]
    assert steady(results[0]) == steady(results[1])
    rows = [[steady(row) for row in read_metrics(out / name)] for name in ("whole", "killed")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_full_disk_is_told_in_a_sentence(killed: dict[str, StageRun], kind: str) -> None:
    """And publishes nothing: after it, the run above goes on to the bytes of the undisturbed."""
    told = json.loads((killed[kind].out / REPORT).read_text())["full_disk"]
    assert re.search(r"(has no room for|could not be written).*make room and start again", told)


def test_a_token_shard_that_is_cut_while_training_is_told(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, steps=1_300, checkpoint_every=500, processes=1)
    shards = [*run.inputs["lake"].rglob("*.tokens")]

    def cut() -> None:
        if read_metrics(run.out):
            for shard in shards:
                os.truncate(shard, 0)

    assert len(shards) == 2
    with pytest.raises(TrainingError, match=r"rank 0 .* was killed by SIGBUS: a file .* was cut"):
        run_stage(run, on_poll=cut)
    assert wait_until_gone(run.out, 10) == {}
    with pytest.raises(SamplerError, match="materialize"):
        open_sampler(run.inputs["mixture"], run.inputs["lake"]).sequence(0)
