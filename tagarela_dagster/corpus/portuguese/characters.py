"""Characters of scans, PDFs and wrong encodings: repaired where that is sure, counted elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import regex
from numpy.typing import NDArray

from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.corpus.kernels.scan import MARKS, scan
from tagarela_dagster.corpus.kernels.splice import splice
from tagarela_dagster.recipe.portuguese import Unicode

INVISIBLE = "\u00ad\u200b\u200c\u2060\ufeff"
"""Soft hyphen, zero-width space and non-joiner, word joiner, byte order mark."""

_INVISIBLE = re.compile(rf"[{INVISIBLE}\u200d]+")
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CUT = re.compile(r"(?<=[a-zà-öø-ÿ])-\n([a-zà-öø-ÿ]+)")
_TOWER = regex.compile(r"\p{M}{31,}")
"""More accents than a letter has: UAX #15, section 13 (Stream-Safe Text Format), allows 30."""
_CLITICS = frozenset(
    "me te se nos vos lhe lhes o a os as lo la los las no na nas mo ma to ta lho lha".split()
)
"""Pronouns that Portuguese joins to a verb by a hyphen, which must then stay."""


class Characters:
    """Step: edits ``unicode`` and ``dehyphenated``; signals on what is damaged.

    ``replacement_chars``, ``control_chars``, ``mojibake_left``: a thousand characters;
    ``ocr_ratio``: share of words. All are counted before the edits. Comes after mojibake is
    repaired, which needs soft hyphens: "Ã" and one of them are an í.
    """

    def __init__(self, section: Unicode) -> None:
        self.section = section

    def __call__(self, work: Work) -> None:
        """Texts in which the byte scan finds nothing are not looked at again."""
        counts = dict(zip(MARKS, scan(*work.buffers()).T, strict=True))
        characters = counts["characters"] / 1000
        for signal, mark in (
            ("replacement_chars", "replacement"),
            ("control_chars", "control"),
            ("mojibake_left", "mojibake"),
        ):
            work.signal(signal, _ratio(counts[mark], characters))
        damaged = counts["damaged_words"] + counts["cut_words"]
        work.signal("ocr_ratio", np.minimum(1, _ratio(damaged, counts["words"])))
        if not self.section.enabled:
            return
        asked = np.zeros(work.rows, np.bool_)
        if self.section.remove_invisible:
            asked |= counts["invisible"] > 0
        if self.section.remove_directions:
            asked |= counts["direction"] > 0
        if self.section.compose:
            asked |= counts["combining"] > 0
        edit_rows(work, "unicode", asked, self._normal)
        sources = self.section.rejoin_hyphenated
        asked = (counts["cut_words"] > 0) & from_sources(work, sources)
        edit_rows(work, "dehyphenated", asked, rejoined)

    def _normal(self, text: str) -> str:
        # Each step may make room for another: an accent behind a joiner, a joiner behind a letter.
        while True:
            before = text
            if self.section.remove_directions:
                text = _DIRECTIONS.sub("", text)
            if self.section.remove_invisible:
                text = _INVISIBLE.sub(_joiner, text)
            if self.section.compose:
                text = composed(text)
            if text == before:
                return text


def composed(text: str) -> str:
    """NFC, in time linear in the text.

    Python sorts the accents of a letter by insertion (UAX #15, canonical ordering), which takes
    three minutes for a megabyte of two accents in turn; in order they cost it nothing.
    """
    return unicodedata.normalize("NFC", _TOWER.sub(_ordered, text))


def _ordered(run: regex.Match[str]) -> str:
    """A run of combining characters, decomposed, in canonical order."""
    found: list[str] = []
    accents: list[str] = []
    for mark in "".join(unicodedata.normalize("NFD", mark) for mark in run[0]):
        if unicodedata.combining(mark):
            accents.append(mark)
        else:
            found += [*sorted(accents, key=unicodedata.combining), mark]
            accents = []
    return "".join([*found, *sorted(accents, key=unicodedata.combining)])


def _joiner(run: re.Match[str]) -> str:
    """What stays of a run: the joiners with which emoji are built, behind no letter or space."""
    before = run.string[run.start() - 1 : run.start()]
    if not before or before.isspace() or before == "_" or before.isalnum():
        return ""
    return "\u200d" * run[0].count("\u200d")


def rejoined(text: str) -> str:
    """Words cut at a line end made whole; a pronoun keeps its hyphen ("disse-\\nlhe")."""
    return _CUT.sub(lambda cut: f"-{cut[1]}" if cut[1] in _CLITICS else cut[1], text)


def from_sources(work: Work, sources: list[str]) -> NDArray[np.bool_]:
    """(rows,) whether a document is from one of the sources."""
    if not sources:
        return np.zeros(work.rows, np.bool_)
    return np.array([name in sources for name in work.column("source").to_pylist()], np.bool_)


def edit_rows(
    work: Work, edit: str, asked: NDArray[np.bool_], change: Callable[[str], str]
) -> None:
    """Replace the texts of the rows ``asked`` by ``change(text)``."""
    if not asked.any():
        return
    data, offsets = work.buffers()
    edits: list[tuple[int, int, int, bytes]] = []
    for row in np.flatnonzero(asked).tolist():
        start, end = int(offsets[row]), int(offsets[row + 1])
        text = data[start:end].tobytes().decode()
        made = change(text)
        if made != text:
            edits.append((row, start, end, made.encode()))
    if edits:
        work.edit(edit, splice(data, offsets, edits))


def _ratio(values: NDArray[np.int64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN where there is no text."""
    return np.divide(values, whole, out=np.full(len(values), np.nan), where=whole > 0)
