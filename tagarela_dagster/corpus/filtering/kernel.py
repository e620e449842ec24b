"""Kernel of the ``filtered`` stage: Arrow batch in, texts, signals and drop reasons out.

Order: licence gate, line clean-up, language, Gopher repetition, FineWeb quality, Gopher quality,
PII. A document dropped by one step is not looked at by the next, so its later signals are null; a
document that reaches the rules has every one of their signals, whatever it is dropped for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, SIGNALS
from tagarela_dagster.corpus.filtering.cleanup import clean
from tagarela_dagster.corpus.filtering.language import identify, is_kept
from tagarela_dagster.corpus.filtering.licenses import judge
from tagarela_dagster.corpus.filtering.pii import treat
from tagarela_dagster.corpus.filtering.rules import decide, quality_rules, repetition_rules
from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.corpus.filtering.words import Lexicon
from tagarela_dagster.corpus.stage import Outcome
from tagarela_dagster.recipe.corpus import Corpus


def make_kernel(corpus: Corpus) -> Callable[[pa.RecordBatch], Outcome]:
    """Kernel for the sections licenses, cleanup, language, repetition, quality and pii.

    The kernel takes DOCUMENT_SCHEMA batches. Kept documents come back with their text cleaned and
    personal data replaced; dropped ones with the text they came in with.
    """
    return _Filter(corpus)


class _Filter:
    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.rules = repetition_rules(corpus.repetition) + quality_rules(corpus.quality)

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        work = _Work(batch)
        self._admit(work)
        self._clean(work)
        if self.corpus.language.enabled:
            self._identify(work)
        if self.rules:
            self._measure(work)
        self._protect(work)
        return work.outcome()

    def _admit(self, work: _Work) -> None:
        for row, name in enumerate(work.column("license")):
            work.reasons[row] = judge(name, self.corpus.licenses)

    def _clean(self, work: _Work) -> None:
        for row in work.alive():
            text, removed = clean(work.texts[row], self.corpus.cleanup)
            work.change(row, text, "cleanup")
            work.signal("lines_removed", [row], [removed])
            if not text.strip():
                work.reasons[row] = "empty"

    def _identify(self, work: _Work) -> None:
        rows = work.alive()
        languages, scores = identify([work.texts[row] for row in rows])
        sources = work.column("source")
        for row, language, score in zip(rows, languages, scores, strict=True):
            work.languages[row] = language
            work.scores[row] = score
            if not is_kept(language, score, sources[row], self.corpus.language):
                work.reasons[row] = "language"

    def _measure(self, work: _Work) -> None:
        rows = work.alive()
        lexicon = _lexicon(tuple(self.corpus.quality.stop_words))
        signals = text_signals((work.texts[row] for row in rows), lexicon)
        for name, values in signals.items():
            work.signal(name, rows, values)
        for row, reason in zip(rows, decide(signals, self.rules), strict=True):
            work.reasons[row] = reason

    def _protect(self, work: _Work) -> None:
        if not self.corpus.pii.enabled:
            return
        for row in work.alive():
            text, found, reason = treat(work.texts[row], self.corpus.pii)
            work.change(row, text, "pii")
            work.signal("pii_found", [row], [found])
            work.reasons[row] = reason


class _Work:
    """A batch while its documents are worked on: columns that change, as Python values."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self.texts: list[str] = self.column("text")
        self.reasons: list[str | None] = [None] * batch.num_rows
        self.languages: list[str | None] = self.column("language")
        self.scores: list[float | None] = self.column("language_score")
        self._removed: dict[str, NDArray[np.int64]] = {}
        self._signals: dict[str, NDArray[np.float32]] = {}

    def column(self, name: str) -> list:
        """Values of a column that is not changed."""
        values: list = self.batch.column(name).to_pylist()
        return values

    def alive(self) -> list[int]:
        """Rows that no step has dropped."""
        return [row for row, reason in enumerate(self.reasons) if reason is None]

    def change(self, row: int, text: str, edit: str) -> None:
        """Replace a row's text and book the bytes that the edit removed."""
        before = self.texts[row]
        if text == before:
            return
        booked = self._removed.setdefault(edit, np.zeros(self.batch.num_rows, np.int64))
        booked[row] += len(before.encode()) - len(text.encode())
        self.texts[row] = text

    def signal(
        self, name: str, rows: Sequence[int], values: Sequence[float] | NDArray[np.float64]
    ) -> None:
        """Set a signal of some rows."""
        if name not in self._signals:
            old = pc.struct_field(self.batch.column("quality"), SIGNALS.index(name))
            self._signals[name] = np.array(old.to_numpy(zero_copy_only=False), np.float32)
        self._signals[name][list(rows)] = values

    def outcome(self) -> Outcome:
        """The batch with its changed columns, reasons, and bytes removed from kept rows."""
        kept = np.array([reason is None for reason in self.reasons], np.bool_)
        original = self.batch.column("text")
        texts = pa.array(self.texts, pa.large_string())
        changed = {
            "text": pc.if_else(pa.array(kept), texts, original.cast(pa.large_string())),
            "language": pa.array(self.languages, pa.string()),
            "language_score": pa.array(self.scores, pa.float32()),
            "quality": self._quality(),
        }
        columns = [
            changed[field.name] if field.name in changed else self.batch.column(field.name)
            for field in DOCUMENT_SCHEMA
        ]
        edits = {name: int(removed[kept].sum()) for name, removed in self._removed.items()}
        return Outcome(
            pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_SCHEMA),
            pa.array(self.reasons, pa.string()),
            {name: removed for name, removed in edits.items() if removed},
        )

    def _quality(self) -> pa.StructArray:
        struct = self.batch.column("quality")
        fields = list(DOCUMENT_SCHEMA.field("quality").type)
        children = []
        for index, name in enumerate(SIGNALS):
            values = self._signals.get(name)
            if values is None:
                children.append(pc.struct_field(struct, index))
            else:
                # NaN stands for null here, as to_numpy gave it and ratios without a divisor are.
                children.append(pa.array(values, pa.float32(), from_pandas=True))
        return pa.StructArray.from_arrays(children, fields=fields)


@lru_cache(maxsize=1)
def _lexicon(stop_words: tuple[str, ...]) -> Lexicon:
    """One lexicon for all batches and shards of a process: filling it is what costs."""
    return Lexicon(stop_words)
