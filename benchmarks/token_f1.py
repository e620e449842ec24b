"""Agreement of two texts by their words, as extraction benchmarks measure it."""

from __future__ import annotations

import re
from collections import Counter

_WORD = re.compile(r"\w+")


def token_f1(found: str, expected: str) -> float:
    """Harmonic mean of precision and recall over words with their counts, 0 to 1.

    Two texts without words agree. Order does not count (Bevendorff et al., SIGIR 2023, compare
    extractors by the same measure).
    """
    a, b = (Counter(_WORD.findall(text.lower())) for text in (found, expected))
    if not a and not b:
        return 1.0
    return 2 * (a & b).total() / (a.total() + b.total())
