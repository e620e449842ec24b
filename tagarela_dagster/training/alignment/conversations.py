"""Conversations for fine-tuning: read, checked, and cut to the context by whole turns.

A line of the file is ``{"messages": [{"role": …, "content": …}, …]}``: an optional system message,
then user and assistant in turn, the assistant last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagarela_dagster.training.alignment.rows import (
    InvalidRowError,
    Message,
    check_messages,
    check_turns,
    parse,
    screen,
)

CountTokens = Callable[[list[Message]], int]


def prepare_conversations(
    data: Path,
    out: Path,
    quarantine: Path,
    max_tokens: int,
    count_tokens: CountTokens,
    marks: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Write the usable conversations of ``data`` to ``out`` (JSONL), the others' reasons aside.

    Args:
        max_tokens: longest conversation; a longer one loses its last turns.
        count_tokens: tokens of a conversation under the chat template.
        marks: what must not stand in a message.

    Returns:
        rows_read, rows_kept, rows_shortened (kept without their last turns), rows_quarantined.

    Raises:
        TrainingError: the file is missing or holds no usable conversation.
    """
    shortened = 0

    def check(line: bytes) -> dict[str, Any]:
        nonlocal shortened
        messages = check_conversation(line, marks)
        fitting = fit(messages, max_tokens, count_tokens)
        shortened += len(fitting) < len(messages)
        return {"messages": fitting}

    counts = screen(data, {"train": out}, quarantine, check)
    return {**counts.as_json(), "rows_shortened": shortened}


def check_conversation(line: bytes, marks: tuple[str, ...] = ()) -> list[Message]:
    """Messages of a line. Raises InvalidRowError."""
    messages = check_messages(parse(line).get("messages"), marks)
    check_turns(messages, last="assistant")
    return messages


def fit(messages: list[Message], max_tokens: int, count_tokens: CountTokens) -> list[Message]:
    """The first turns that fit into ``max_tokens``. Raises InvalidRowError."""
    left = messages
    while count_tokens(left) > max_tokens:
        left = left[:-2]
        if not left or left[-1]["role"] != "assistant":
            raise InvalidRowError("too_long")
    return left
