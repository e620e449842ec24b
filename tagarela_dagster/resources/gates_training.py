"""Gates of training stages, by kind: judged from what a stage wrote into its result."""

from __future__ import annotations

import math

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.gates import Gate, Verdict


def loss_falls(lake: Lake, manifest: Manifest) -> Verdict:
    """The last loss is finite and below the first."""
    first, last = manifest.counts["loss_first"], manifest.counts["loss_last"]
    passed = math.isfinite(last) and last < first
    numbers = {"loss_first": round(first, 4), "loss_last": round(last, 4)}
    return Verdict(passed, f"the loss went from {first:.4f} to {last:.4f}", numbers)


MIN_CHANGED = 0.05
"""A preference or GRPO run that changes fewer of its held-out answers has taught nothing."""
MAX_WORSE = 0.1
"""How much larger the share of degenerate or foreign answers may become."""
MAX_SCORE_LOSS = 0.05
"""How far the mean score of held-out prompts may fall: nats a token of margin for pairs, of 0 to 1
for checked answers."""
MAX_SPEECHLESS = 0.5
"""Share of degenerate answers of the parent above which a language would be judged on noise."""
MIN_ACCURACY = 0.5
"""A reward model must be right more often than a coin, on pairs that it has not seen."""
MIN_PAIRS = 20
"""Pairs from which on that is judged."""


def generations_changed(lake: Lake, manifest: Manifest) -> Verdict:
    """Some held-out prompts are answered otherwise than by the parent."""
    counts = manifest.counts
    changed = counts["generations_changed"]
    sentence = f"{changed:.0%} of {counts['held_out']} held-out answers changed"
    if changed < MIN_CHANGED:
        sentence += f", less than {MIN_CHANGED:.0%}: raise learning_rate or steps"
    return Verdict(changed >= MIN_CHANGED, sentence, {"changed": round(changed, 4)})


def generations_not_worse(lake: Lake, manifest: Manifest) -> Verdict:
    """Held-out answers have not become empty, repetitive, foreign or lower in score.

    Of a parent that hardly says anything no language can be told, so none is asked for.
    """
    counts = manifest.counts
    before = counts["generations_degenerate_before"]
    rises = {"degenerate": counts["generations_degenerate_after"] - before}
    if before <= MAX_SPEECHLESS:
        rises["not Portuguese"] = (
            counts["generations_portuguese_before"] - counts["generations_portuguese_after"]
        )
    fall = counts["score_before"] - counts["score_after"]
    faults = [f"{rise:.0%} more are {name}" for name, rise in rises.items() if rise > MAX_WORSE]
    if fall > MAX_SCORE_LOSS or not math.isfinite(fall):
        faults.append(f"the score fell by {fall:.3f}")
    told = f"score {counts['score_before']:.3f} to {counts['score_after']:.3f}"
    if before > MAX_SPEECHLESS:
        told += f"; {before:.0%} of the parent's answers are degenerate, so no language is judged"
    sentence = f"held-out answers got worse: {', '.join(faults)}" if faults else told
    numbers = {"score_before": counts["score_before"], "score_after": counts["score_after"]}
    return Verdict(not faults, sentence, {k: round(v, 4) for k, v in numbers.items()})


def prefers_chosen(lake: Lake, manifest: Manifest) -> Verdict:
    """The reward model scores the chosen answer of unseen pairs higher more often than not.

    Of fewer than MIN_PAIRS pairs that is not judged: a coin would pass or fail as well.
    """
    accuracy, pairs = manifest.counts["accuracy_held_out"], manifest.counts["held_out"]
    sentence = f"{accuracy:.0%} of {pairs} held-out pairs are ranked right"
    passed = accuracy > MIN_ACCURACY
    if pairs < MIN_PAIRS:
        passed = True
        sentence += f"; fewer than {MIN_PAIRS} say nothing, so it is not judged"
    numbers = {"accuracy": round(accuracy, 4), "pairs": pairs}
    return Verdict(passed, sentence, numbers)


def portuguese_costs_less(lake: Lake, manifest: Manifest) -> Verdict:
    """The transplanted tokenizer needs fewer tokens a word of held-out text, and the model with it
    still predicts text: its loss is a number."""
    counts = manifest.counts
    before, after = counts["fertility_before"], counts["fertility_after"]
    loss = counts["nats_per_byte_after"]
    passed = after < before and math.isfinite(loss)
    sentence = f"{before:.2f} tokens a word became {after:.2f}, at {loss:.3f} nats a byte"
    numbers = {"fertility_before": round(before, 4), "fertility_after": round(after, 4)}
    return Verdict(passed, sentence, numbers)


STAGE_GATES: dict[str, dict[str, Gate]] = {
    "surgery": {"portuguese_costs_less": portuguese_costs_less},
    "pretrain": {"loss_falls": loss_falls},
    "sft": {"loss_falls": loss_falls},
    "preference": {
        "generations_changed": generations_changed,
        "generations_not_worse": generations_not_worse,
    },
    "grpo": {
        "generations_changed": generations_changed,
        "generations_not_worse": generations_not_worse,
    },
    "reward": {"prefers_chosen": prefers_chosen},
    "distill": {"loss_falls": loss_falls},
}
"""Kind of stage -> gates by name; all of them block."""
