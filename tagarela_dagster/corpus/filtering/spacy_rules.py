"""spaCy's Portuguese tokenizer, and what kernels have to know of it to do without it."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.characters import Classes, character_classes
from tagarela_dagster.corpus.kernels.spacy_classes import (
    EXPRESSIONS,
    expressions_hash,
    spacy_classes,
    unit_keys,
)

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer


class Kit(NamedTuple):
    """What splitting kernels take: character classes, and units that follow numbers.

    Without units the kernels leave every chunk to spaCy.
    """

    classes: Classes
    units: NDArray[np.uint64]


class Rules(NamedTuple):
    """The tokenizer's special cases as the lexicon needs them, and what identifies it.

    Attributes:
        identity: spaCy's version and a hash of its expressions and special cases.
        special: special cases. split: those of several words.
        pairs: first two words of special cases that the expressions alone would cut.
    """

    identity: str
    kit: Kit
    special: list[str]
    split: list[str]
    pairs: list[tuple[str, str]]


def new_tokenizer() -> Tokenizer:
    """A tokenizer that remembers nothing yet: spaCy's vocabulary keeps every string it saw."""
    return cast("Tokenizer", _import_spacy().blank("pt").tokenizer)


@lru_cache(maxsize=1)
def spacy_rules() -> Rules:
    """Rules of the spaCy that is installed."""
    tokenizer = new_tokenizer()
    expressions = expressions_hash(tokenizer)
    rules = {
        case: [next(iter(word.values())) for word in words]
        for case, words in sorted(tokenizer.rules.items())
    }
    listed = hashlib.sha256(json.dumps([expressions, rules]).encode()).hexdigest()[:16]
    # The kernels were written after these expressions: with others spaCy is asked each time.
    known = expressions == EXPRESSIONS
    kit = Kit(
        spacy_classes(tokenizer) if known else character_classes(),
        unit_keys() if known else np.empty(0, np.uint64),
    )
    tokenizer.rules = {}
    cut = {case: [token.text for token in tokenizer(case)] for case in rules if case.strip()}
    return Rules(
        f"spacy-{_import_spacy().__version__}-{listed}",
        kit,
        [case for case in rules if case.strip()],
        [case for case, words in rules.items() if len(words) > 1],
        sorted({(words[0], words[1]) for words in cut.values() if len(words) > 1}),
    )


def _import_spacy() -> Any:
    """spaCy without torch, which its import takes along when it is installed.

    A blank tokenizer has no use for it, and it costs each worker 2 s and 180 MB.
    """
    if "torch" in sys.modules or "spacy" in sys.modules:
        import spacy

        return spacy
    sys.modules["torch"] = cast(Any, None)
    try:
        import spacy
    finally:
        del sys.modules["torch"]
    return spacy
