"""Rows of a JSON lines file: each checked, the bad ones quarantined with file and byte offset.

Nothing is repaired by guessing. A line is a conversation, a pair of answers or a prompt whose
answer can be checked; what each needs is said by its own check (conversations.py, pairs.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.alignment.chat_template import ROLES
from tagarela_dagster.training.launching.failure import TrainingError

Message = dict[str, str]
MAX_LINE_BYTES = 16_000_000
"""Longest line that is read."""


class InvalidRowError(ValueError):
    """A row cannot be used; the message is the reason's short name."""


@dataclass
class RowCounts:
    """What became of the lines of a file."""

    read: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "rows_read": self.read,
            "rows_kept": self.kept["train"],
            **({"rows_held_out": self.kept["held_out"]} if "held_out" in self.kept else {}),
            "rows_quarantined": dict(sorted(self.quarantined.items())),
        }


def screen(
    data: Path,
    outs: dict[str, Path],
    quarantine: Path,
    check: Callable[[bytes], dict[str, Any]],
    part: Callable[[dict[str, Any]], str] = lambda row: "train",
) -> RowCounts:
    """Write what ``check`` makes of the usable lines of ``data`` as JSON lines, by part.

    Args:
        outs: part (``train``, ``held_out``) -> file.
        check: row of a line; raises InvalidRowError.
        part: part that a row belongs to.

    Raises:
        TrainingError: the file is missing, or a part is without a row.
    """
    if not data.is_file():
        raise TrainingError(f"there is no file {data}: set the stage's data to a JSONL file")
    counts = RowCounts()
    with ExitStack() as stack:
        files = {name: stack.enter_context(atomic_write(path)) for name, path in outs.items()}
        rejected = stack.enter_context(atomic_write(quarantine))
        for offset, line in lines(data):
            counts.read += 1
            try:
                row = check(line)
            except InvalidRowError as error:
                counts.quarantined[str(error)] += 1
                place = {"file": data.name, "offset": offset, "reason": str(error)}
                rejected.write(json.dumps(place) + "\n")
                continue
            name = part(row)
            counts.kept[name] += 1
            files[name].write(json.dumps(row, ensure_ascii=False) + "\n")
    for name in outs:
        if not counts.kept[name]:
            raise TrainingError(
                f"{data} holds no usable row to {name.replace('_', ' ')} among {counts.read} lines "
                f"({dict(counts.quarantined)}): {quarantine} says where each bad one is"
            )
    return counts


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
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


def parse(line: bytes) -> dict[str, Any]:
    """JSON object of a line. Raises InvalidRowError."""
    if len(line) > MAX_LINE_BYTES:
        raise InvalidRowError("line_too_long")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRowError("not_json") from None
    if not isinstance(record, dict):
        raise InvalidRowError("not_an_object")
    return record


def check_messages(value: Any, marks: tuple[str, ...]) -> list[Message]:
    """Messages, each with a role and words of its own.

    Args:
        marks: what must not stand in a message, since it ends or opens a turn.

    Raises:
        InvalidRowError: it is no list of messages.
    """
    if not isinstance(value, list) or not value:
        raise InvalidRowError("no_messages")
    return [_check_message(message, marks) for message in value]


def check_turns(messages: list[Message], last: str) -> None:
    """User and assistant in turn after an optional system message, ``last`` at the end.
    Raises InvalidRowError."""
    spoken = messages[1:] if messages[0]["role"] == "system" else messages
    turns = [message["role"] for message in spoken]
    expected = ["user", "assistant"] * (len(turns) // 2 + 1)
    if not turns or turns != expected[: len(turns)] or turns[-1] != last:
        raise InvalidRowError("turns_out_of_order")


def _check_message(message: Any, marks: tuple[str, ...]) -> Message:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise InvalidRowError("unknown_role")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise InvalidRowError("empty_content")
    if any(mark in content for mark in marks):
        raise InvalidRowError("special_token")
    return {"role": message["role"], "content": content}
