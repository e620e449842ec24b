"""Rows of preference tuning, reward models and GRPO, and which of them are held out.

    {"prompt": [messages], "chosen": [message], "rejected": [message]}    pairs of answers
    {"prompt": [messages], "answer": …, "format": …, …}                   answers that are checked

A prompt ends with what the user says; ``chosen`` and ``rejected`` are one message of the assistant
each. Rows whose prompt's hash says so are held out: never trained on, and answered by the model
before and after (samples.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from tagarela_dagster.training.alignment.rewards import CHECKED, check_wanted
from tagarela_dagster.training.alignment.rows import (
    InvalidRowError,
    Message,
    check_messages,
    check_turns,
    parse,
)

CountTokens = Callable[[list[Message]], int]


def prompt_id(prompt: list[Message]) -> str:
    """Name of a prompt: 16 hexadecimal digits of its messages' hash."""
    text = json.dumps(prompt, ensure_ascii=False, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def part_of(share: float) -> Callable[[dict[str, Any]], str]:
    """Which part a row belongs to: of all prompts about ``share`` are held out, by their hash, so
    that all rows of a prompt lie on one side whatever else the file holds."""

    def part(row: dict[str, Any]) -> str:
        return "held_out" if int(row["id"], 16) < share * 16**16 else "train"

    return part


def check_pair(
    line: bytes, marks: tuple[str, ...], max_tokens: int, count_tokens: CountTokens
) -> dict[str, Any]:
    """Prompt, chosen and rejected answer of a line. Raises InvalidRowError."""
    record = parse(line)
    prompt = _prompt(record, marks)
    answers = {}
    for name in ("chosen", "rejected"):
        answer = check_messages(record.get(name), marks)
        if len(answer) != 1 or answer[0]["role"] != "assistant":
            raise InvalidRowError(f"{name}_is_no_answer")
        if count_tokens([*prompt, *answer]) > max_tokens:
            raise InvalidRowError("too_long")
        answers[name] = answer
    if answers["chosen"][0]["content"].strip() == answers["rejected"][0]["content"].strip():
        raise InvalidRowError("equal_answers")
    return {"id": prompt_id(prompt), "prompt": prompt, **answers}


def check_prompt(
    line: bytes, marks: tuple[str, ...], max_tokens: int, count_tokens: CountTokens
) -> dict[str, Any]:
    """Prompt of a line, and what its rewards need. Raises InvalidRowError.

    Args:
        max_tokens: longest prompt, so that an answer fits into the context after it.
    """
    record = parse(line)
    prompt = _prompt(record, marks)
    if count_tokens(prompt) > max_tokens:
        raise InvalidRowError("too_long")
    wanted = {name: record[name] for name in CHECKED if record.get(name) is not None}
    if not wanted:
        raise InvalidRowError("nothing_to_check")
    try:
        check_wanted(wanted)
    except ValueError as error:
        raise InvalidRowError(str(error)) from None
    # As text: the columns of a data set have one type each, a format has several.
    return {"id": prompt_id(prompt), "prompt": prompt, "wanted": json.dumps(wanted)}


def _prompt(record: dict[str, Any], marks: tuple[str, ...]) -> list[Message]:
    prompt = check_messages(record.get("prompt"), marks)
    check_turns(prompt, last="user")
    return prompt
