"""Damage: where a file could not be read, as a value or as an error, with a reason to count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where no record could be read; ``bytes`` are those that were skipped."""

    offset: str
    reason: str
    detail: str
    bytes: int


class CompressedError(Exception):
    """A stream that cannot be read to its end.

    Attributes:
        reason: short machine name for a ``Rejected``: bomb, truncated, corrupt.
        good_bytes: expanded bytes that were delivered before the error.
    """

    reason = "corrupt"

    def __init__(self, detail: str, good_bytes: int = 0) -> None:
        super().__init__(detail)
        self.good_bytes = good_bytes


class BoundExceededError(CompressedError):
    """More expanded bytes than allowed: a decompression bomb, or a bound that is too low."""

    reason = "bomb"


class TruncatedError(CompressedError):
    """The compressed data ends before the stream does."""

    reason = "truncated"


class CorruptError(CompressedError):
    """The compressed data is damaged, or garbage follows it."""
