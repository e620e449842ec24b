"""Answers to held-out prompts, before and after a tuning, side by side.

Margins can look perfect while a model says the same as before, or has come to repeat itself
(facts of public runs: Manacá). So both models answer prompts that were never trained on, greedily,
and what changed is counted: gates judge these numbers (resources/gates_training.py), people read
``samples/samples.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.adaptation.lora import local_device
from tagarela_dagster.training.alignment.rewards import language
from tagarela_dagster.training.alignment.rows import Message
from tagarela_dagster.training.alignment.tuning import ranks

SAMPLES = "samples"
SAMPLES_FILE = "samples.jsonl"
BATCH = 8
"""Prompts answered at once."""
REPEATED_WORDS = 12
"""An answer of so many words, fewer than half of whose runs of three are different, repeats
itself (the shares of repeated n-grams of Gopher's filters, arXiv 2112.11446, table A1, allow
less)."""
PORTUGUESE = 0.5
"""Probability from which an answer counts as Portuguese."""

Score = Callable[[dict[str, Any], str], float]


def is_degenerate(answer: str) -> bool:
    """Whether an answer is empty or repeats itself."""
    words = answer.split()
    if len(words) < REPEATED_WORDS:
        return not words
    runs = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(runs)) < len(runs) / 2


def answers(model: Path, prompts: Sequence[list[Message]], max_new_tokens: int) -> list[str]:
    """Greedy answers of a model folder to ``prompts``; every rank calls this and answers a part.

    Returns:
        The answers in the order of the prompts, on every rank.
    """
    import torch
    import torch.distributed as dist

    network, tokenizer = load_model(model)
    tokenizer.padding_side = "left"
    rank, world = ranks()
    own = list(range(rank, len(prompts), world))
    found: list[tuple[int, str]] = []
    for start in range(0, len(own), BATCH):
        chosen = own[start : start + BATCH]
        inputs = tokenizer.apply_chat_template(
            [prompts[number] for number in chosen],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            padding=True,
            return_tensors="pt",
        ).to(network.device)
        with torch.inference_mode():
            output = network.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=max_new_tokens,
                max_length=None,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
                use_cache=True,
            )
        new = output[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        found += zip(chosen, (text.strip() for text in texts), strict=True)
    parts: list[Any] = [None] * world
    dist.all_gather_object(parts, found)
    return [text for _, text in sorted(pair for part in parts for pair in part)]


def margins(model: Path, pairs: Sequence[dict[str, Any]], template: str) -> list[float]:
    """How much likelier a model finds the chosen answer than the rejected one of each pair, in
    nats a token; every rank calls this and has all."""
    import torch
    import torch.distributed as dist

    from tagarela_dagster.training.alignment.chat_template import encode

    network, tokenizer = load_model(model)
    rank, world = ranks()

    def likelihood(pair: dict[str, Any], name: str) -> float:
        with_prompt = [*pair["prompt"], *pair[name]]
        ids, _ = encode(tokenizer, with_prompt, template)
        prompt = tokenizer.apply_chat_template(
            pair["prompt"], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        given = torch.tensor([ids], device=network.device)
        with torch.inference_mode():
            logits = network(input_ids=given, use_cache=False).logits[0, len(prompt) - 1 : -1]
        target = given[0, len(prompt) :, None]
        return float(logits.float().log_softmax(-1).gather(-1, target).mean())

    own = range(rank, len(pairs), world)
    found = [(n, likelihood(pairs[n], "chosen") - likelihood(pairs[n], "rejected")) for n in own]
    parts: list[Any] = [None] * world
    dist.all_gather_object(parts, found)
    return [margin for _, margin in sorted(pair for part in parts for pair in part)]


def compare(
    rows: Sequence[dict[str, Any]],
    before: Sequence[str],
    after: Sequence[str],
    scores: tuple[Sequence[float], Sequence[float]],
    out: Path,
) -> dict[str, Any]:
    """Write both models' answers side by side, and count.

    Args:
        rows: held-out rows with ``id`` and ``prompt``.
        scores: of each row, before and after; more is better.
        out: folder for ``samples.jsonl``.

    Returns:
        ``held_out`` (prompts), and shares of them from 0 to 1: ``generations_changed``,
        ``generations_degenerate_*`` and ``generations_portuguese_*`` (before, after); means
        ``score_before`` and ``score_after``.
    """
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / SAMPLES_FILE) as file:
        for row, old, new, low, high in zip(rows, before, after, *scores, strict=True):
            record = {
                "id": row["id"],
                "prompt": row["prompt"],
                "before": old,
                "after": new,
                "score_before": round(low, 4),
                "score_after": round(high, 4),
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    sides = {"before": before, "after": after}
    return {
        "held_out": len(rows),
        "generations_changed": _share(old != new for old, new in zip(before, after, strict=True)),
        **{
            f"generations_degenerate_{side}": _share(map(is_degenerate, texts))
            for side, texts in sides.items()
        },
        **{
            f"generations_portuguese_{side}": _share(
                language(text, {}) >= PORTUGUESE for text in texts
            )
            for side, texts in sides.items()
        },
        "score_before": _mean(scores[0]),
        "score_after": _mean(scores[1]),
    }


def load_model(folder: Path) -> tuple[Any, Any]:
    """A model and its tokenizer on this rank's device, to be asked and not trained."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = local_device()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return network.to(device).eval(), tokenizer


def _share(hits: Any) -> float:
    return _mean([float(hit) for hit in hits])


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6)
