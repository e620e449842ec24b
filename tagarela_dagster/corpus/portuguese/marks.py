"""Marks inside lines: what wiki mark-up leaves, and sounds that subtitles put in brackets."""

from __future__ import annotations

import re
from functools import lru_cache

from tagarela_dagster.corpus.kernels.phrases import fold
from tagarela_dagster.corpus.portuguese.lists import all_lists

MAX_PASSES = 10
"""A removal may bring a new mark together; text nested deeper than this is left as it is."""

_WIKI = re.compile(
    r"\[\[ *:?(?:ficheiro|arquivo|imagem|file|image|categoria|category) *:"
    r"(?:[^\[\]\n]|\[\[[^\[\]\n]*\]\])*\]\]\n?"
    r"|\[editar(?: *\|[^\[\]\n]{0,40}| c[óo]digo[^\[\]\n]{0,20})? *\] ?"
    r"|<ref\b[^<>\n]*/>|<ref\b[^<>/\n]*>[^<\n]*</ref *>|</?ref\b[^<>\n]*>",
    re.IGNORECASE,
)
"""What stands in no other text: files and categories, edit hints, references; within a line, so
that no line that goes later can bring one together."""
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}\n?|\{\|[^{}]*\|\}\n?")
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")

_BRACKETS = re.compile(r"[(\[]([^()\[\]\n]{1,80})[)\]][.!]?")
_NOTES = re.compile("[♩-♬]+")
_WORD = re.compile(r"\w")


def without_wiki(text: str) -> tuple[str, int]:
    """Text without the remains of wiki mark-up, and how many there were.

    Templates, tables and plain links are removed only beside a mark that nothing else has: braces
    are also what templates in programming look like.
    """
    count, made = 0, text
    for _ in range(MAX_PASSES):
        before = made
        made, marks = _WIKI.subn("", before)
        if marks or count:
            made, templates = _TEMPLATE.subn("", made)
            made, links = _LINK.subn(r"\1", made)
            marks += templates + links
        count += marks
        if made == before:
            return made, count
    return text, count


def without_sounds(text: str) -> str:
    """Text without sounds and stage directions in brackets and without musical notes.

    A line of which nothing with a letter is left goes.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        made = _without_sounds(line)
        if made == line or _WORD.search(made):
            lines.append(made)
    return "\n".join(lines)


def _without_sounds(line: str) -> str:
    made = line
    for _ in range(MAX_PASSES):
        before = made
        made = _NOTES.sub("", _BRACKETS.sub(_if_no_sound, before))
        if made == before:
            return line if made == line else " ".join(made.split())
    return line


def _if_no_sound(match: re.Match[str]) -> str:
    return "" if _sounds().match(fold(match[1])) else match[0]


@lru_cache(maxsize=1)
def _sounds() -> re.Pattern[str]:
    (sounds,) = (item for item in all_lists().classes if item.name == "sounds")
    phrases = sorted((fold(p) for p in sounds.phrases), key=len, reverse=True)
    return re.compile(rf"\s*(?:{'|'.join(map(re.escape, phrases))})\b")
