"""GRPO: a model samples several answers to a prompt and learns from how they compare, by rewards
that can be checked (arXiv 2402.03300; rewards.py), with TRL.

A run that was stopped starts again from its first step, with the same random numbers: its answers
are part of its state, and are not kept.

Leaves what sft.py does, and ``samples/``: answers to held-out prompts before and after, with the
score of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Grpo
from tagarela_dagster.training.adaptation.lora import load_parent, lora_config
from tagarela_dagster.training.alignment.pairs import check_prompt, part_of
from tagarela_dagster.training.alignment.parents import MODEL, Parent, open_parent, publish_model
from tagarela_dagster.training.alignment.preference import read_held_out
from tagarela_dagster.training.alignment.reward import Scorer
from tagarela_dagster.training.alignment.rewards import REWARDS, score
from tagarela_dagster.training.alignment.rows import screen
from tagarela_dagster.training.alignment.samples import SAMPLES, answers, compare
from tagarela_dagster.training.alignment.tuning import (
    arguments,
    attention,
    fit,
    on_first,
    ranks,
    start_work,
    steps_of,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining.layout import layout

if TYPE_CHECKING:
    from tagarela_dagster.training.stage import StageRun

Rewarding = Callable[..., list[float | None]]


def train(run: StageRun) -> dict[str, Any]:
    """Tune; every rank calls this. Raises TrainingError."""
    section: Grpo = run.section
    work = start_work(run)
    parent = open_parent(run)
    if parent.max_tokens <= section.max_answer:
        raise TrainingError(
            f"answers of {section.max_answer} tokens leave no room for a prompt in "
            f"{parent.max_tokens} (max_length or the model's context): lower max_answer"
        )
    counts: dict[str, Any] = {}
    on_first(lambda: counts.update(_prepare(run, parent, work)))
    trainer = _build_trainer(run, parent, work)
    summary = fit(trainer, run)
    folders, merge = publish_model(run, parent, trainer.model, work)
    del trainer
    on_first(lambda: None)  # the model is written
    held_out = read_held_out(work, section.samples)
    prompts = [row["prompt"] for row in held_out]
    wanted = [json.loads(row["wanted"]) for row in held_out]
    said = [answers(side, prompts, section.max_answer) for side in (parent.folder, run.out / MODEL)]
    if not summary:
        return {}
    scores = [
        [score(text, row, section.rewards) for text, row in zip(texts, wanted, strict=True)]
        for texts in said
    ]
    found = compare(held_out, said[0], said[1], (scores[0], scores[1]), run.out / SAMPLES)
    return {
        **summary,
        **counts,
        **found,
        "max_tokens": parent.max_tokens,
        **merge,
        "folders": {**folders, SAMPLES: SAMPLES},
    }


def reward_functions(run: StageRun) -> dict[str, Rewarding]:
    """TRL's form of the recipe's rewards: texts and rows in, a number for each text out."""
    section: Grpo = run.section
    found: dict[str, Rewarding] = {}
    for name in section.rewards:
        if name in REWARDS:
            found[name] = _checked(name)
        else:
            found[name] = _judged(name, run.input(section.models[name]) / MODEL)
    return found


def _checked(name: str) -> Rewarding:
    def reward(completions: Any, wanted: list[str], **_: Any) -> list[float | None]:
        texts = [completion[-1]["content"] for completion in completions]
        rows = map(json.loads, wanted)
        return [REWARDS[name](text, row) for text, row in zip(texts, rows, strict=True)]

    reward.__name__ = name
    return reward


def _judged(name: str, folder: Path) -> Rewarding:
    scorer = Scorer(folder)

    def reward(prompts: Any, completions: Any, **_: Any) -> list[float | None]:
        # Between 0 and 1 as the other rewards are: the chance to be preferred over a score of 0.
        pairs = zip(prompts, completions, strict=True)
        scores = scorer([[*prompt, *completion] for prompt, completion in pairs])
        return [1 / (1 + math.exp(-max(-60.0, min(60.0, value)))) for value in scores]

    reward.__name__ = name.replace(":", "_")
    return reward


def _prepare(run: StageRun, parent: Parent, work: Path) -> dict[str, Any]:
    section: Grpo = run.section
    longest = parent.max_tokens - section.max_answer
    counts = screen(
        run.input("data"),
        {name: work / f"{name}.jsonl" for name in ("train", "held_out")},
        run.out / "quarantine.jsonl",
        lambda line: check_prompt(line, parent.template.marks, longest, parent.count_tokens),
        part_of(section.held_out),
    )
    return counts.as_json()


def _build_trainer(run: StageRun, parent: Parent, work: Path) -> Any:
    import datasets
    import torch
    from trl import GRPOConfig, GRPOTrainer

    section: Grpo = run.section
    full = section.method == "full"
    model = load_parent(
        parent.folder,
        section.method,
        section.precision,
        section.lora,
        train=full,
        zero_stage=section.zero_stage,
        attention=attention(section, parent.folder),
        seed=run.recipe.seed,
    )
    functions = reward_functions(run)
    path, cache = str(work / "train.jsonl"), str(work / "cache")
    on_first(lambda: datasets.Dataset.from_json(path, cache_dir=cache) and None)
    rows = datasets.Dataset.from_json(path, cache_dir=cache)
    _, world = ranks()
    # A step has step_sequences answers, so step_sequences / group prompts.
    prompts = section.step_sequences // section.group
    steps = section.steps or steps_of(section, len(rows) * section.step_sequences // prompts)
    settings = GRPOConfig(
        **arguments(run, work, steps, resumable=False),
        num_generations=section.group,
        max_completion_length=section.max_answer,
        temperature=section.temperature,
        beta=section.beta,
        steps_per_generation=layout(section, world).accumulation,
        reward_weights=[section.rewards[name] for name in functions],
    )
    torch.manual_seed(run.recipe.seed)
    return GRPOTrainer(
        model=model,
        args=settings,
        reward_funcs=list(functions.values()),
        train_dataset=rows,
        processing_class=parent.tokenizer,
        peft_config=None if full else lora_config(section.lora),
    )
