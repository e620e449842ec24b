"""The rules' signals as a person would write them: strings, counters, datatrove's own words."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from datatrove.utils.word_tokenizers import WordTokenizer, load_word_tokenizer

TECHNICAL = frozenset("0123456789{}+/()>")
NAN = float("nan")


@cache
def tokenizer() -> WordTokenizer:
    return load_word_tokenizer("por")


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def top_gram(words: list[str], n: int, size: int) -> float:
    grams = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    if not grams:
        return 0.0
    ((gram, count),) = grams.most_common(1)
    return len(gram) * count / size


def dup_gram(words: list[str], n: int, size: int) -> float:
    seen: set[str] = set()
    repeated, place = 0, 0
    while place < len(words) - n + 1:
        gram = "".join(words[place : place + n])
        if gram in seen:
            repeated += len(gram)
            place += n
        else:
            seen.add(gram)
            place += 1
    return ratio(repeated, size) if size else 0.0


def madlad(text: str) -> tuple[int, float]:
    sentences = [part for part in re.split(r"[.!?]+\s+", text) if part.strip()]

    def questionable(sentence: str) -> bool:
        words = re.findall(r"\w+", sentence)
        capitals = sum(word[0].isupper() for word in words)
        return (
            not 20 <= len(sentence) <= 500
            or sum(character in TECHNICAL for character in sentence) * 5 > len(sentence)
            or (len(words) >= 12 and capitals * 2 > len(words))
        )

    return len(sentences), ratio(sum(map(questionable, sentences)), len(sentences))


def reference(text: str, stop_words: tuple[str, ...]) -> dict[str, float]:
    """Signals of one text."""
    words = tokenizer().word_tokenize(text)
    size = max(1, len(text))
    lines = re.split("\n+", text) if text else []
    visible = [line for line in text.split("\n") if line.strip()]
    again = sum(len(line) for i, line in enumerate(visible) if line in visible[:i])
    real = [word for word in words if any(c not in PUNCTUATION_SET for c in word)]
    split = text.splitlines()
    sentences, questionable = madlad(text)
    endings = ("...", "…")
    return {
        "dup_line_frac": ratio(len(lines) - len(set(lines)), len(lines)),
        **{f"top_{n}_gram": top_gram(words, n, size) for n in (2, 3, 4)},
        **{f"dup_{n}_gram": dup_gram(words, n, size) for n in range(5, 11)},
        "line_punct_ratio": ratio(
            sum(line[-1] in TERMINAL_PUNCTUATION for line in visible), len(visible)
        ),
        "short_line_ratio": ratio(sum(len(line) <= 30 for line in visible), len(visible)),
        "char_dup_ratio": ratio(again, len(text.replace("\n", ""))),
        "list_ratio": ratio(text.count("\n"), len(words)),
        "words": len(real),
        "avg_word_length": ratio(sum(map(len, real)), len(real)),
        "hash_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": ratio(
            sum(line.lstrip().startswith(("•", "-")) for line in split), len(split)
        ),
        "ellipsis_lines": ratio(sum(line.rstrip().endswith(endings) for line in split), len(split)),
        "alpha_words": ratio(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_words": len(set(stop_words) & set(words)),
        "madlad_sentences": sentences,
        "madlad_questionable": questionable,
    }
