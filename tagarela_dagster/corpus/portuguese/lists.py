"""Phrase lists as files that anybody can read and correct: ``phrases/*.yaml`` beside this."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import yaml

from tagarela_dagster.corpus.kernels.phrases import PhraseTable, expand

FILES = ("boilerplate", "harmful", "transcripts", "wiki")


@dataclass(frozen=True)
class PhraseClass:
    """A class of phrases and when a line that holds one goes.

    Attributes:
        name: as in its file.
        file: which file it stands in.
        phrases: expanded.
        share: words of the line that phrases of the file must cover, 0 to 1.
        words: longest line that goes, in words; 0 for a class that removes nothing.
        hits: phrases that must stand in the line.
    """

    name: str
    file: str
    phrases: tuple[str, ...]
    share: float = 1.0
    words: int = 0
    hits: int = 1


class Lists:
    """All classes and the table of all their phrases.

    Attributes:
        classes: every class.
        table: all phrases; one of several classes is found for each.
        class_of: (phrases,) index into ``classes``.
    """

    def __init__(self, classes: tuple[PhraseClass, ...]) -> None:
        self.classes = classes
        self.table = PhraseTable([phrase for item in classes for phrase in item.phrases])
        self.class_of = np.repeat(np.arange(len(classes)), [len(c.phrases) for c in classes])
        self.names = [item.name for item in classes]


def read_classes(file: str) -> tuple[PhraseClass, ...]:
    """Classes of one file; ``ValueError`` names a phrase that cannot be used."""
    text = files(__package__).joinpath("phrases", f"{file}.yaml").read_text(encoding="utf-8")
    return tuple(
        PhraseClass(
            name,
            file,
            tuple(dict.fromkeys(p for pattern in item["phrases"] for p in expand(pattern) if p)),
            float(item.get("share", 1)),
            int(item.get("words", 0)),
            int(item.get("hits", 1)),
        )
        for name, item in yaml.safe_load(text).items()
    )


@lru_cache(maxsize=1)
def all_lists() -> Lists:
    """Every list, compiled once a process."""
    return Lists(tuple(item for file in FILES for item in read_classes(file)))
