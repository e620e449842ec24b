"""Rewards that can be checked: pure functions of an answer's text and of what is wanted of it.

Each gives a number from 0 to 1, or None where a prompt does not ask for it. ``wanted`` is what the
row says: ``answer`` (a text, a number, or a list of texts that are right), ``format``
(``{"regex": …}``, ``{"json": [keys]}`` or ``{"steps": n}``), ``variety`` (``pt-PT`` or ``pt-BR``)
and ``length`` (``{"min": n, "max": n}`` in words). Portuguese is wanted always.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tagarela_dagster.corpus.filtering.language import identify
from tagarela_dagster.training.alignment.numerals import digits, number, numbers
from tagarela_dagster.training.alignment.variety import VARIETIES, adherence

CHECKED = ("answer", "format", "variety", "length")
"""What a row may ask for; a row that asks for none has nothing to check."""
FEW_LETTERS = 20
"""Fewer say too little about their language (a number, a name): the reward is 0.5. Of the sample's
messages with as many, 4 of 312 get less than 0.5 (measured, tests of this module)."""
CONTAINED = 0.5
"""For an answer that is in the text, but is not what the text comes to."""

Wanted = Mapping[str, Any]
_FINAL = re.compile(r"^(?:.*\n)*.*\bresposta(?: final)?\s*:\s*(.+)", re.IGNORECASE)
_FENCE = re.compile(r"^```(?:json)?\s*\n(.*)\n```$", re.DOTALL)


def answer(text: str, wanted: Wanted) -> float | None:
    """1 for a text that comes to the wanted answer, 0.5 for one that contains it among others.

    A text comes to what follows its last ``Resposta:``, else to itself, and of a number to the
    last that it names (in digits if it has any). Case, punctuation and spaces don't count;
    accents do.
    """
    if "answer" not in wanted:
        return None
    given = wanted["answer"]
    alternatives = given if isinstance(given, list) else [given]
    return max(_right(text, str(one)) for one in alternatives)


def format_(text: str, wanted: Wanted) -> float | None:
    """Whether a text has the wanted form: share of the keys or steps, 1 or 0 for a pattern."""
    if "format" not in wanted:
        return None
    spec = wanted["format"]
    if "regex" in spec:
        return float(re.fullmatch(spec["regex"], text.strip(), re.DOTALL) is not None)
    if "steps" in spec:
        steps = [int(n) for n in re.findall(r"^\s*(\d+)[.)] +\S", text, re.MULTILINE)]
        return float(steps == list(range(1, spec["steps"] + 1)))
    fenced = _FENCE.match(text.strip())
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(found, dict):
        return 0.0
    keys = spec["json"]
    right = sum(key in found for key in keys)
    return right / (len(keys) + len(set(found) - set(keys)))


def language(text: str, wanted: Wanted) -> float:
    """Probability that a text is Portuguese (lid.176, as the corpus is filtered by); 0.5 for a text
    too short to tell."""
    if sum(character.isalpha() for character in text) < FEW_LETTERS:
        return 0.5 if text.strip() else 0.0
    (name,), (probability,) = identify([text])
    return probability if name == "pt" else 0.0


def variety(text: str, wanted: Wanted) -> float | None:
    """Share of the markers that are of the wanted variety (variety.py)."""
    return adherence(text, wanted["variety"]) if "variety" in wanted else None


def length(text: str, wanted: Wanted) -> float | None:
    """1 within the wanted number of words; outside, what is missing or too much is taken off."""
    if "length" not in wanted:
        return None
    words = len(text.split())
    least, most = wanted["length"].get("min", 0), wanted["length"].get("max")
    if words < least:
        return words / least
    return max(0.0, 1 - (words - most) / most) if most and words > most else 1.0


REWARDS: dict[str, Callable[[str, Wanted], float | None]] = {
    "answer": answer,
    "format": format_,
    "language": language,
    "variety": variety,
    "length": length,
}


def score(text: str, wanted: Wanted, weights: Mapping[str, float]) -> float:
    """Weighted mean of the rewards that apply, 0 to 1; rewards by a model are left out."""
    found = {name: REWARDS[name](text, wanted) for name in weights if name in REWARDS}
    given = {name: value for name, value in found.items() if value is not None}
    total = sum(weights[name] for name in given)
    return sum(weights[name] * value for name, value in given.items()) / total if total else 0.0


def check_wanted(wanted: Wanted) -> None:
    """Raises ValueError, with a short reason, for what no answer could be checked by."""
    if "variety" in wanted and wanted["variety"] not in VARIETIES:
        raise ValueError("unknown_variety")
    spec = wanted.get("format")
    if spec is not None:
        if not isinstance(spec, dict) or len(spec) != 1:
            raise ValueError("unknown_format")
        ((kind, value),) = spec.items()
        types: dict[str, type] = {"regex": str, "json": list, "steps": int}
        if kind not in types or not isinstance(value, types[kind]) or not value:
            raise ValueError("unknown_format")
        if kind == "regex":
            try:
                re.compile(str(value))
            except re.error:
                raise ValueError("bad_regex") from None
    limits = wanted.get("length")
    if limits is not None and (
        not isinstance(limits, dict)
        or not limits
        or any(key not in ("min", "max") for key in limits)
        or any(not isinstance(value, int) or value < 1 for value in limits.values())
    ):
        raise ValueError("bad_length")
    if "answer" in wanted and not str(wanted["answer"]).strip("[] "):
        raise ValueError("empty_answer")


def _right(text: str, expected: str) -> float:
    final = _FINAL.match(text)
    end = final[1] if final else text
    value = number(expected)
    if value is not None:
        found = digits(end) or numbers(end)
        if found and found[-1] == value:
            return 1.0
        return CONTAINED if value in numbers(text) else 0.0
    if _plain(end) == _plain(expected):
        return 1.0
    return CONTAINED if f" {_plain(expected)} " in f" {_plain(text)} " else 0.0


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
