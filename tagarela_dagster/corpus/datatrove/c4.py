"""C4's filter as datatrove has it (``pipeline/filters/c4_filters.py``), for Portuguese.

The costly part, spaCy's sentences, comes from the kernel; the lines that stay are put together as
datatrove does.
"""

from __future__ import annotations

from datatrove.data import Document
from datatrove.pipeline.filters.c4_filters import (
    CITATION_REGEX,
    ELLIPSIS,
    END_PUNCTUATION,
    POLICY_SUBSTRINGS,
)
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.typeshelper import Languages

from tagarela_dagster.corpus.datatrove.rules import BATCH, Result, RuleFilter, Signals

FIXED = {
    "split_paragraph": True,
    "remove_citations": True,
    "filter_no_terminal_punct": True,
    "min_words_per_line": 3,
    "max_word_length": 1000,
    "filter_lorem_ipsum": True,
    "filter_javascript": True,
    "filter_curly_bracket": True,
    "filter_policy": True,
}
"""What the kernel counts sentences by: datatrove's defaults."""


class C4QualityFilter(RuleFilter):
    """C4's rules: documents are dropped, and lines of those that stay.

    Args:
        min_num_sentences: fewest sentences in the lines that stay; -1 turns the rule off.
        options: FIXED, accepted with these values only.

    Raises:
        ValueError: an option has another value.
    """

    name = "⛰ C4 Quality"

    def __init__(
        self,
        exclusion_writer: DiskWriter | None = None,
        min_num_sentences: int = 5,
        language: str = Languages.portuguese,
        batch_size: int = BATCH,
        **options: bool | int,
    ) -> None:
        for name, value in options.items():
            if name not in FIXED:
                raise TypeError(f"C4QualityFilter has no parameter {name!r}")
            if value != FIXED[name]:
                raise ValueError(
                    f"{name} is {value!r}; sentences are counted with {FIXED[name]!r}: use "
                    "datatrove's own filter"
                )
        super().__init__([], exclusion_writer, language, batch_size)
        self.min_num_sentences = min_num_sentences

    def filter_batch(self, batch: list[Document]) -> list[Result]:
        """Judge documents together; the texts of those that stay lose lines."""
        results = super().filter_batch(batch)
        for document, result in zip(batch, results, strict=True):
            if result is True:
                document.text = "\n".join(_judged(document.text)[0]).strip()
        return results

    def reasons(self, batch: list[Document], signals: Signals) -> list[str | None]:
        """The first line with a bracket or "lorem ipsum" gives the reason, then sentences."""
        names = ("c4_lorem_lines", "c4_curly_lines", "c4_sentences")
        rows = zip(*(signals[name].tolist() for name in names), strict=True)
        found = []
        for document, (lorem, curly, sentences) in zip(batch, rows, strict=True):
            reason = _judged(document.text)[1] if lorem > 0 or curly > 0 else None
            few = "too_few_sentences" if sentences < self.min_num_sentences else None
            found.append(reason or few)
        return found


def _judged(text: str) -> tuple[list[str], str | None]:
    """Lines that stay, and the reason that ends the document if there is one."""
    kept: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        longest = FIXED["max_word_length"]
        if len(line) > longest and any(len(word) > longest for word in words):
            continue
        line = CITATION_REGEX.sub("", line) if "[" in line else line
        if not line.endswith(END_PUNCTUATION) or line.endswith(ELLIPSIS):
            continue
        if len(words) < FIXED["min_words_per_line"]:
            continue
        lowered = line.lower()
        if "lorem ipsum" in lowered:
            return kept, "lorem_ipsum"
        if "javascript" in lowered:
            continue
        if "{" in line:
            return kept, "curly_bracket"
        if not any(phrase in lowered for phrase in POLICY_SUBSTRINGS):
            kept.append(line)
    return kept, None
