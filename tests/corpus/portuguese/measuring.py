"""What the Portuguese steps make of a few texts."""

from __future__ import annotations

from tagarela_dagster.corpus.filtering.work import Step, Work
from tests.corpus.rows import batch


class Measured:
    """Texts after some steps, with signals and booked bytes by document."""

    def __init__(self, steps: list[Step], *texts: str, source: str = "paginas") -> None:
        work = Work(batch(texts, source))
        for step in steps:
            step(work)
        measured = work.measured()
        self.texts: list[str] = measured.column("text").to_pylist()
        self.signals: list[dict[str, float]] = measured.column("quality").to_pylist()
        self.removed: list[dict[str, int]] = measured.column("removed").to_pylist()
        self.bytes_in: list[int] = measured.column("bytes_in").to_pylist()

    def assert_balanced(self) -> None:
        """Bytes in are bytes kept and bytes that edits took."""
        for text, removed, size in zip(self.texts, self.removed, self.bytes_in, strict=True):
            assert size == len(text.encode()) + sum(removed.values())
