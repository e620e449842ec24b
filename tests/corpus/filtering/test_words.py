from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import spacy
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import load_word_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.words import (
    HAS_LETTER,
    HAS_NON_PUNCTUATION,
    HASH_BASE,
    MARKED,
    MAX_CHUNK_CHARACTERS,
    SLICE_CHARACTERS,
    Lexicon,
)
from tests.corpus.filtering.filter_prose import PROSE, lexicon_of


def words_of(text: str, lexicon: Lexicon | None = None) -> list[str]:
    lexicon = lexicon_of() if lexicon is None else lexicon
    return [lexicon.words[number] for number in lexicon.split(text)]


@pytest.mark.parametrize("name", PROSE)
def test_words_are_those_that_datatrove_gets_from_spacy(name: str) -> None:
    assert words_of(PROSE[name]) == load_word_tokenizer("por").word_tokenize(PROSE[name])


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        ("Dr.", ["Dr."]),
        ("(art.", ["(", "art."]),
        ("casa.", ["casa", "."]),
        ("disse-lhe,", ["disse-lhe", ","]),
        ("«Portugal»", ["«", "Portugal", "»"]),
        ("(2024).", ["(", "2024", ")", "."]),
        ("R$10", ["R$", "10"]),
        ("18km", ["18", "km"]),
        ("Áudio/Vídeo", ["Áudio", "/", "Vídeo"]),
        (":-)", [":-)"]),
        ("etc...", ["etc", "..."]),
    ],
)
def test_chunks_split_as_spacy_splits_them(chunk: str, words: list[str]) -> None:
    assert words_of(chunk) == words
    assert words_of(chunk) == [token.text for token in _SPACY(chunk)]


LETTERS = st.text("abcdeiouçãéAEÇzXD", min_size=1, max_size=6)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.tuples(
        st.sampled_from(["", "(", "[", '"', "“", "«"]),
        st.one_of(
            LETTERS,
            st.tuples(LETTERS, LETTERS).map("-".join),
            st.integers(0, 99999).map(str),
            st.sampled_from(["Art", "pág", "Sra", "XDD", "etc"]),
        ),
        st.sampled_from(["", ",", ";", ":", "!", "?", ")", "]", '"', "”", "»"]),
        st.sampled_from(["", "."]),
    ).map("".join)
)
def test_chunks_that_bypass_spacy_split_as_it_would(chunk: str) -> None:
    assert words_of(chunk) == [token.text for token in _SPACY(chunk)]


_SPACY = spacy.blank("pt")


def test_a_chunk_beyond_the_bound_is_taken_in_slices() -> None:
    chunk = "R$5" * MAX_CHUNK_CHARACTERS
    words = words_of(chunk)
    assert "".join(words) == chunk
    assert words[: len(words_of(chunk[:SLICE_CHARACTERS]))] == words_of(chunk[:SLICE_CHARACTERS])
    assert len(lexicon_of()[chunk]) == len(words) and chunk not in lexicon_of()


def test_tables_hold_length_flags_and_hash_of_every_word() -> None:
    lexicon = Lexicon(marked=["não"])
    for text in ("Não, não é", "42 vezes: não!"):
        lexicon.split(text)
        lengths, flags, hashes = lexicon.tables()
    for number, word in enumerate(lexicon.words):
        assert lengths[number] == len(word)
        assert bool(flags[number] & HAS_NON_PUNCTUATION) == any(
            c not in PUNCTUATION_SET for c in word
        )
        assert bool(flags[number] & HAS_LETTER) == any(c.isalpha() for c in word)
        assert bool(flags[number] & MARKED) == (word == "não")
        expected = sum(ord(c) * HASH_BASE**i for i, c in enumerate(word)) % 2**64
        assert hashes[number] == np.uint64(expected)


def test_a_full_lexicon_starts_again_and_gives_the_same_words() -> None:
    lexicon = Lexicon(max_chunks=20)
    for text in [*PROSE.values(), *PROSE.values()]:
        assert words_of(text, lexicon) == words_of(text)
        lengths, _, _ = lexicon.tables()
        assert [lengths[n] for n in range(len(lexicon.words))] == [*map(len, lexicon.words)]
        assert len(lexicon) > 20
        lexicon.trim()
        assert len(lexicon) == len(lexicon.words) == 0


def test_a_lexicon_that_starts_again_still_knows_what_it_held_before() -> None:
    lexicon = Lexicon(max_chunks=1)
    for text in ("(Olá, Dona Amélia!", "Dona R$5", "R$5"):
        lexicon.trim()
        lexicon.split(text)
    assert lexicon.words == ["R$", "5"]
    # What was not met since the start before last is forgotten.
    assert "(Olá," not in lexicon and "R$5" in lexicon


def test_splitting_words_imports_no_torch_and_leaves_it_importable() -> None:
    code = (
        "import sys; from importlib.util import find_spec;"
        "from tagarela_dagster.corpus.filtering.words import Lexicon; Lexicon().split('R$5');"
        "assert 'torch' not in sys.modules; assert find_spec('torch') is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
