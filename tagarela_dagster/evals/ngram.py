"""Baselines of last-word prediction: what counting words comes to.

The unigram baseline always answers the most frequent word; the trigram baseline answers the word
that most often follows the item's last two words, else its last word, else the most frequent one
(stupid backoff: Brants et al., EMNLP 2007, section 4; for the best word alone its factor is no
matter). A model that does not beat them has learned no context. Only what the items ask for is
counted, so memory depends on the items and never on the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tagarela_dagster.evals.items import Item

_TOKEN = re.compile(r"\w+|[^\w\s]")
MOST_WORDS = 2_000_000
"""Distinct words that are counted; rarer ones are dropped when there are more."""


class NgramBaseline:
    """Counts over training text, for the contexts of some items."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = list(items)
        self._contexts = [tuple(_TOKEN.findall(item.sentence)[-2:]) for item in items]
        self.words: Counter[str] = Counter()
        self._after_two: dict[tuple[str, ...], Counter[str]] = {
            context: Counter() for context in self._contexts
        }
        self._after_one: dict[str, Counter[str]] = {
            context[-1]: Counter() for context in self._contexts if context
        }
        self.read_words = 0

    def read(self, texts: Iterable[str]) -> None:
        """Count the words of training documents."""
        for text in texts:
            tokens = _TOKEN.findall(text)
            self.read_words += len(tokens)
            self.words.update(token for token in tokens if token[0].isalpha())
            if len(self.words) > MOST_WORDS:
                self.words = Counter(dict(self.words.most_common(MOST_WORDS // 2)))
            for first, second, word in zip(["", *tokens], tokens, tokens[1:], strict=False):
                after = self._after_one.get(second)
                if after is None or not word[0].isalpha():
                    continue
                after[word] += 1
                if (both := self._after_two.get((first, second))) is not None:
                    both[word] += 1

    def unigram(self) -> list[str]:
        """Answer of each item: the most frequent word."""
        return [_best(self.words)] * len(self.items)

    def trigram(self) -> list[str]:
        """Answer of each item: the word that follows most often."""
        answers = []
        for context in self._contexts:
            counts = self._after_two[context] or self._after_one.get(context[-1]) or self.words
            answers.append(_best(counts))
        return answers


def _best(counts: Counter[str]) -> str:
    """Most frequent word; of equals the first in the alphabet."""
    return min(counts, key=lambda word: (-counts[word], word), default="")
