"""Subtitles to lines of dialogue: SRT parsing, marks and credits removed, cues joined.

What a subtitle shows is broken by screen width and time. Here a cue that ends without a stop goes
on in the next one when that begins in lower case, as sentences do; a dash that marks a change of
speaker begins a line of its own and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TIMING = re.compile(
    r"^\s*(?:\d{1,2}:)?\d{1,2}:\d{2}[,.:]\d{1,3}\s*-+>\s*(?:\d{1,2}:)?\d{1,2}:\d{2}[,.:]\d{1,3}"
)
_NUMBER = re.compile(r"^\s*\d{1,6}\s*$")
_MARK = re.compile(r"</?\s*(?:i|b|u|s|font|c|v|br)\b[^<>]*>|\{\\[^{}]*\}|\{[yY]:[^{}]*\}|[♪♫]+")
_CREDIT = re.compile(
    r"https?://|www\.|opensubtitles|\.(?:com|org|net)\b"
    r"|^(?:legendas?|legendad[oa]s?|tradu[çz][ãa]o|traduzido|sincronia|sincroniza[çd]|resync|ripad[oa]"
    r"|revis[ãa]o|revisad[oa]|transcri[çt][ãa]o|subtitles?|synced?)\b.{0,60}(?::|\bpor\b|\bby\b)"
    r"|^equipe? .{0,30}(?:legend|subs?)",
    re.IGNORECASE,
)
_CREDIT_HEAD = 200
"""Characters of a sentence in which joined lines may make a credit (``^legendas ... por``)."""
_DASH = re.compile(r"^[-–—]\s*(?=\S)")
_STOP = re.compile(r"[.!?…:;\"”»)\]]\s*$")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Text of a subtitle file.

    Attributes:
        text: a sentence or more a line.
        cues: subtitles shown.
        credits: lines left out because they advertise or credit the subtitle's makers.
    """

    text: str
    cues: int
    credits: int


def srt_cues(text: str) -> list[list[str]]:
    """Lines of each cue of an SRT file; empty when it has no timing line.

    Numbers and blank lines may be missing or doubled, as in files that people edit by hand.
    """
    cues: list[list[str]] = []
    for line in text.lstrip("\ufeff").splitlines():
        if _TIMING.match(line):
            # The number before a timing line was read as the last line of the cue before it.
            if cues and cues[-1] and _NUMBER.match(cues[-1][-1]):
                cues[-1].pop()
            cues.append([])
        elif cues and line.strip():
            cues[-1].append(line)
    return cues


def srt_dialogue(text: str) -> Dialogue:
    """Dialogue of an SRT file."""
    cues = srt_cues(text)
    lines = list(_joined(cues))
    kept = [line for line in lines if not is_credit(line)]
    return Dialogue("\n".join(kept), len(cues), len(lines) - len(kept))


def plain_line(line: str) -> str:
    """A subtitle line without formatting marks and musical notes, on one line."""
    return " ".join(_MARK.sub("", line).split())


def is_credit(line: str) -> bool:
    """Whether a line names the subtitle's makers or a site instead of being spoken."""
    return _CREDIT.search(line) is not None


def _joined(cues: Iterable[list[str]]) -> Iterator[str]:
    held: list[str] = []
    head = ""
    for cue in cues:
        lines = [line for raw in cue if (line := plain_line(raw))]
        for place, line in enumerate(lines):
            if held and _goes_on(head, held[-1], line, same_cue=place > 0):
                head = f"{head} {line}" if len(head) < _CREDIT_HEAD else head
                held.append(line)
                continue
            if held:
                yield " ".join(held)
            held, head = [line], line
    if held:
        yield " ".join(held)


def _goes_on(head: str, line: str, following: str, same_cue: bool) -> bool:
    """Whether ``following`` goes on with the sentence that begins with ``head``, ends in ``line``.

    Captions without stops are one sentence of hours, of which only the ends are looked at.
    """
    if _DASH.match(following) or is_credit(head) or is_credit(following):
        return False
    if same_cue and not _STOP.search(line):
        return True
    first = re.search(r"\w", following)
    if first and first.group().islower():
        return not re.search(r"[.!?]$", line)
    # A broken line may also go on with a name or a number.
    return line.endswith(",") or line.rsplit(None, 1)[-1].lower() in _OPEN


_OPEN = frozenset(
    "a o as os um uma uns umas de da do das dos em na no nas nos por pela pelo com para e ou que"
    " à ao às aos se sem sob sobre entre até como mas meu minha seu sua teu tua este esta".split()
)
"""Words that do not end a sentence: articles, prepositions, conjunctions."""
