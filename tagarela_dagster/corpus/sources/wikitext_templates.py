"""Templates of the Portuguese Wikipedia whose text belongs to the sentence around them.

All other templates (infoboxes, navigation, sources, notices) are left out. The list is short on
purpose: a template that is not known loses a word, a template that is guessed adds nonsense.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MONTHS = (
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
).split()

_FIRST = (
    "nowrap nobr nwr small smaller big center centro abbr sic aspas citar citação citação2 quote"
    " cquote blockquote pequeno negrito itálico sub sup"
).split()
_FIRST_NAMES = {*_FIRST, "não quebrar", "bloco de citação"}
_CONSTANTS = {
    "-": "",
    "nbsp": " ",
    "espaço": " ",
    "ndash": "–",
    "mdash": "—",
    "—": "—",
    "'": "'",
    "!": "|",
    "ac": "a.C.",
    "dc": "d.C.",
}
_LANGUAGE = re.compile(r"^lang-[a-z-]{2,12}$")

Arguments = Callable[[str], str | None]
"""Text of an argument by its name ("1", "2", … for those without), None when absent."""


def inline_text(name: str, argument: Arguments) -> str:
    """What ``{{name|…}}`` shows inside a sentence, "" for a template that is left out."""
    key = " ".join(name.replace("_", " ").split()).casefold()
    if key in _CONSTANTS and (argument("1") is None or not _CONSTANTS[key]):
        return _CONSTANTS[key]
    if key in ("ac", "dc"):
        return f"{argument('1')} {_CONSTANTS[key]}"
    if key in _FIRST_NAMES:
        return argument("1") or argument("texto") or argument("text") or ""
    if key in ("lang", "língua"):
        return argument("2") or argument("texto") or ""
    if _LANGUAGE.match(key):
        return argument("1") or ""
    if key.startswith("formatnum:"):
        return name.split(":", 1)[1].strip()
    if key in ("séc", "século"):
        return f"século {argument('1')}" if argument("1") else ""
    if key in ("unidade", "unit", "convert", "converter", "fmtn", "fmt"):
        return f"{argument('1') or ''} {argument('2') or ''}".strip()
    if key in ("dtlink", "dtext", "dataext"):
        return _date(argument)
    if key in ("pbpe", "pepb"):
        first, second = argument("1"), argument("2")
        sides = ["português brasileiro", "português europeu"]
        if key == "pepb":
            sides.reverse()
        return f"{first} ({sides[0]}) ou {second} ({sides[1]})" if first and second else ""
    return ""


def _date(argument: Arguments) -> str:
    """``{{dtlink|4|7|1776}}`` as "4 de julho de 1776", the parts that are given."""
    day, month, year = (argument(place) or "" for place in "123")
    if month.isdigit() and 1 <= int(month) <= 12:
        month = MONTHS[int(month) - 1]
    return " de ".join(part for part in (day, month, year) if part)
