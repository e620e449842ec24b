"""Protocols of last-word prediction: how a model is asked and how its answer is read.

Scores of different protocols do not compare, so every score names its own. The generation
settings stand in ``tasks/*.yaml``, for lm-evaluation-harness; here is the reading, as plain
functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from text_unidecode import unidecode

_WORD = re.compile(r"\b\w+\b")
_MARKS = re.compile(r"[.,?!]")


def gloria_answer(generation: str) -> str:
    """First ``\\b\\w+\\b`` after line breaks are stripped (GlórIA, arXiv 2402.12969)."""
    found = _WORD.search(generation.strip("\n"))
    return found.group() if found else ""


def gloria_match(answer: str, last_word: str) -> bool:
    """Equal after lower-casing and transliteration to ASCII: accents don't count."""
    # A script that transliterates to nothing must not match an empty answer.
    read = unidecode(answer.lower())
    return bool(read) and read == unidecode(last_word.lower())


def tucano_answer(generation: str) -> str:
    """First token between white space, without ``.``, ``,``, ``?``, ``!`` (Tucano)."""
    tokens = generation.split()
    return _MARKS.sub("", tokens[0]) if tokens else ""


def tucano_match(answer: str, last_word: str) -> bool:
    """Equal, character for character: case and accents count."""
    return bool(answer) and answer == last_word


@dataclass(frozen=True)
class Reading:
    """How a protocol reads a generation.

    Attributes:
        answer: generation -> answer.
        match: (answer, last word) -> right or wrong.
        tokens: new tokens at most, as in the protocol's YAML file.
    """

    answer: Callable[[str], str]
    match: Callable[[str, str], bool]
    tokens: int

    def score(self, generation: str, last_word: str) -> bool:
        """Whether a generation is right."""
        return self.match(self.answer(generation), last_word)


PROTOCOLS: dict[str, Reading] = {
    "gloria": Reading(gloria_answer, gloria_match, 5),
    "tucano": Reading(tucano_answer, tucano_match, 10),
}
SHOTS = 0
"""Examples in the prompt, under both protocols."""
