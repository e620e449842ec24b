"""Conversations for fine-tuning: read, checked, and cut to the context by whole turns.

A line of the file is ``{"messages": [{"role": …, "content": …}, …]}``: an optional system message,
then user and assistant in turn, the assistant last. What is not so is quarantined with its byte
offset and a reason, and counted; nothing is repaired by guessing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.alignment.chat_template import ROLES, has_special_token
from tagarela_dagster.training.launching.failure import TrainingError

Message = dict[str, str]
CountTokens = Callable[[list[Message]], int]
MAX_LINE_BYTES = 16_000_000
"""Longest line that is read."""


class InvalidConversationError(ValueError):
    """A conversation cannot be used; the message is the reason's short name."""


@dataclass
class ConversationCounts:
    """What became of the lines of a file."""

    read: int = 0
    kept: int = 0
    shortened: int = 0
    """Kept without their last turns, to fit."""
    quarantined: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "conversations_read": self.read,
            "conversations_kept": self.kept,
            "conversations_shortened": self.shortened,
            "conversations_quarantined": dict(sorted(self.quarantined.items())),
        }


def prepare_conversations(
    data: Path, out: Path, quarantine: Path, max_tokens: int, count_tokens: CountTokens
) -> ConversationCounts:
    """Write the usable conversations of ``data`` to ``out`` (JSONL), the others' reasons aside.

    Args:
        max_tokens: longest conversation; a longer one loses its last turns.
        count_tokens: tokens of a conversation under the chat template.

    Raises:
        TrainingError: the file is missing or holds no usable conversation.
    """
    if not data.is_file():
        raise TrainingError(f"there is no file {data}: set training.sft.data to a JSONL file")
    counts = ConversationCounts()
    with atomic_write(out) as kept, atomic_write(quarantine) as rejected:
        for offset, line in _lines(data):
            counts.read += 1
            try:
                messages = check_messages(line)
                fitting = fit(messages, max_tokens, count_tokens)
            except InvalidConversationError as error:
                reason = str(error)
                counts.quarantined[reason] += 1
                row = {"file": data.name, "offset": offset, "reason": reason}
                rejected.write(json.dumps(row) + "\n")
                continue
            counts.kept += 1
            counts.shortened += len(fitting) < len(messages)
            kept.write(json.dumps({"messages": fitting}, ensure_ascii=False) + "\n")
    if not counts.kept:
        raise TrainingError(
            f"{data} holds no usable conversation among {counts.read} lines "
            f"({dict(counts.quarantined)}): a line is {{'messages': [{{'role', 'content'}}, …]}}"
        )
    return counts


def check_messages(line: bytes) -> list[Message]:
    """Messages of a line. Raises InvalidConversationError."""
    if len(line) > MAX_LINE_BYTES:
        raise InvalidConversationError("line_too_long")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidConversationError("not_json") from None
    messages = record.get("messages") if isinstance(record, dict) else None
    if not isinstance(messages, list) or not messages:
        raise InvalidConversationError("no_messages")
    checked = [_check_message(message) for message in messages]
    spoken = checked[1:] if checked[0]["role"] == "system" else checked
    turns = [message["role"] for message in spoken]
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        raise InvalidConversationError("turns_out_of_order")
    return checked


def fit(messages: list[Message], max_tokens: int, count_tokens: CountTokens) -> list[Message]:
    """The first turns that fit into ``max_tokens``. Raises InvalidConversationError."""
    left = messages
    while count_tokens(left) > max_tokens:
        left = left[:-2]
        if not left or left[-1]["role"] != "assistant":
            raise InvalidConversationError("too_long")
    return left


def _check_message(message: Any) -> Message:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise InvalidConversationError("unknown_role")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise InvalidConversationError("empty_content")
    if has_special_token(content):
        raise InvalidConversationError("special_token")
    return {"role": message["role"], "content": content}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their byte offsets; of a line that is too long, only so much as tells that."""
    offset = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            start, offset = offset, offset + len(line)
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
                offset += len(rest)
            if line.strip():
                yield start, line
