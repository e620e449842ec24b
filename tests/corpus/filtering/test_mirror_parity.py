"""Decisions, reasons and words against datatrove's on real documents."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from datatrove.utils.word_tokenizers import load_word_tokenizer

from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import decide, quality_rules, repetition_rules
from tagarela_dagster.corpus.filtering.signals import text_signals
from tagarela_dagster.recipe.filtering import Quality, Repetition
from tests.corpus.filtering.filter_prose import (
    fineweb_filter,
    gopher_filter,
    repetition_filter,
    theirs,
)

MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or Path(__file__).parents[4] / "shared" / "data")
ARCHIVES = (
    "politics/programas-eleitorais-pt",
    "legal/lener-br-raw",
    "literature/machado-de-assis",
    "tech/tensorflow-docs-pt-br",
    "tech/mdn-pt-br",
)
DOCUMENTS_EACH = 44
CHARACTERS = 3_000


def documents() -> Iterator[str]:
    """The beginnings of some documents of each archive, spread over it."""
    for name in ARCHIVES:
        with tarfile.open(MIRROR / "corpus" / f"{name}.tar.xz") as archive:
            members = [m for m in archive if m.isfile() and m.name.endswith((".txt", ".md"))]
            for member in members[:: max(1, len(members) // DOCUMENTS_EACH)][:DOCUMENTS_EACH]:
                file = archive.extractfile(member)
                assert file is not None
                yield file.read(4 * CHARACTERS).decode("utf-8", "replace")[:CHARACTERS]


@pytest.mark.mirror
def test_real_documents_are_decided_as_by_datatrove() -> None:
    if not (MIRROR / "corpus").is_dir():
        pytest.skip("no mirror: set TAGARELA_MIRROR to a folder of real data")
    texts = list(documents())
    assert len(texts) >= 200
    repetition, quality = Repetition(), Quality()
    lexicon = Lexicon(quality.stop_words)
    rules = repetition_rules(repetition) + quality_rules(quality)
    decided = decide(text_signals(texts, lexicon), rules)
    filters = repetition_filter(repetition), fineweb_filter(quality), gopher_filter(quality)
    expected = [theirs(text, *filters) for text in texts]
    assert len({*expected}) >= 6
    tokenizer = load_word_tokenizer("por")
    other_words = sum(lexicon.words(text) != tokenizer.word_tokenize(text) for text in texts)
    # Special cases that match across two chunks: at most one document in two hundred.
    assert other_words <= len(texts) // 200
    assert sum(a != b for a, b in zip(decided, expected, strict=True)) <= other_words
