"""Prose: the texts of the sample, many to a file, as ``prose/*.md`` hold them.

A document begins with ``=== slug | language | register | title``; its paragraphs (of a film: its
lines) follow. ``{{up-003}}`` in a text stands for an item of the bundled last-word set with its
answer, so that a benchmark is never written down twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

SAMPLE = Path(__file__).parent
PROSE = SAMPLE / "prose"
ITEMS = SAMPLE / "benchmarks" / "ultima_palavra.jsonl"

_HEAD = re.compile(r"^=== (.+)$", re.MULTILINE)
_ITEM = re.compile(r"\{\{(up-\d{3})\}\}")


@dataclass(frozen=True)
class Prose:
    """One text.

    Attributes:
        language: ``pt-PT`` or ``pt-BR``, or the language code of a text that is not Portuguese.
        text: paragraphs with a blank line between them; lines of a film without.
    """

    slug: str
    language: str
    register: str
    title: str
    text: str

    @property
    def paragraphs(self) -> list[str]:
        """Paragraphs (their lines joined by newlines where there are several)."""
        return self.text.split("\n\n")

    @property
    def lines(self) -> list[str]:
        """Lines that are not blank."""
        return [line for line in self.text.splitlines() if line.strip()]

    def changed(self, replacements: dict[str, str]) -> Prose:
        """The text with words replaced. Raises ValueError when a word is not in it once."""
        text = self.text
        for old, new in replacements.items():
            if text.count(old) != 1:
                raise ValueError(f"{self.slug}: '{old}' stands {text.count(old)} times in the text")
            text = text.replace(old, new)
        return replace(self, text=text)


def read_prose(folder: Path = PROSE, items: Path = ITEMS) -> dict[str, Prose]:
    """Every text by its slug, benchmark items filled in.

    Raises:
        ValueError: a head has not four parts, a slug is used twice, an item does not exist.
    """
    answers = {
        row["id"]: f"{row['sentence']} {row['last_word']}."
        for row in map(json.loads, items.read_text(encoding="utf-8").splitlines())
    }
    found: dict[str, Prose] = {}
    for file in sorted(folder.glob("*.md")):
        parts = _HEAD.split(file.read_text(encoding="utf-8"))
        for head, text in zip(parts[1::2], parts[2::2], strict=True):
            fields = [field.strip() for field in head.split("|")]
            if len(fields) != 4 or fields[0] in found:
                raise ValueError(f"{file.name}: '=== {head}' is no head, or its slug is used twice")
            found[fields[0]] = Prose(
                fields[0], fields[1], fields[2], fields[3], _filled(text.strip(), answers)
            )
    return found


def _filled(text: str, answers: dict[str, str]) -> str:
    def answer(match: re.Match[str]) -> str:
        if match[1] not in answers:
            raise ValueError(f"there is no benchmark item {match[1]}")
        return answers[match[1]]

    return _ITEM.sub(answer, text)
