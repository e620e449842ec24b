from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
from datatrove.utils.text import PUNCTUATION_SET
from datatrove.utils.word_tokenizers import load_word_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.lexicon_files import MANY_FILES
from tagarela_dagster.corpus.kernels.split import MAX_CHUNK_CHARACTERS, SLICE_CHARACTERS
from tagarela_dagster.corpus.kernels.word_tables import (
    CAPITALIZED,
    HAS_LETTER,
    HAS_NON_PUNCTUATION,
    HASH_BASE,
    ONLY_PUNCT,
    WORDS,
)
from tests.corpus.filtering.filter_prose import PROSE, lexicon_of


def words_of(text: str, lexicon: Lexicon | None = None) -> list[str]:
    return (lexicon_of() if lexicon is None else lexicon).words(text)


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


MARKS = "aBcdéÀ09.,:;-–—'\"()[]/=<>+*^~_$%€°²#@!?…«»“”&|smkMUhtpw"


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.text(MARKS, min_size=1, max_size=12))
def test_whatever_marks_a_chunk_has_it_splits_as_spacy_splits_it(chunk: str) -> None:
    assert words_of(chunk, _LEXICON) == [token.text for token in _SPACY(chunk)]


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
_LEXICON = lexicon_of()


def test_a_chunk_beyond_the_bound_is_taken_in_slices() -> None:
    chunk = "R$5" * MAX_CHUNK_CHARACTERS
    words = words_of(chunk)
    assert "".join(words) == chunk
    assert words[: len(words_of(chunk[:SLICE_CHARACTERS]))] == words_of(chunk[:SLICE_CHARACTERS])


def test_tables_hold_length_flags_and_hash_of_every_word() -> None:
    lexicon = Lexicon(marked=["não", "é"])
    for text in ("Não, não é", "42 vezes: não!", "«É», …"):
        lexicon.words(text)
    words = [lexicon.word(number) for number in range(int(lexicon.tables.counts[WORDS]))]
    assert words[:2] == ["não", "é"] and lexicon.tables.marks[0] == 2
    for number, word in enumerate(words):
        hashed, power, info, _ = (int(value) for value in lexicon.tables.words[number])
        flags = info >> 32
        assert info & 0xFFFFFFFF == len(word)
        assert bool(flags & HAS_NON_PUNCTUATION) == any(c not in PUNCTUATION_SET for c in word)
        assert bool(flags & HAS_LETTER) == any(c.isalpha() for c in word)
        assert bool(flags & CAPITALIZED) == word[0].isupper()
        assert bool(flags & ONLY_PUNCT) == _SPACY.vocab[word].is_punct
        expected = 0
        for byte in word.encode():
            expected = (expected * HASH_BASE + byte) % 2**64
        assert hashed == expected and power == pow(HASH_BASE, len(word.encode()), 2**64)


def test_a_full_lexicon_starts_again_and_gives_the_same_words() -> None:
    lexicon = Lexicon(max_chunks=20)
    for text in [*PROSE.values(), "fulano@sapo.pt :-)", *PROSE.values()]:
        assert words_of(text, lexicon) == words_of(text)
    asked = lexicon.asked
    assert len(lexicon) > 20
    assert words_of("fulano@sapo.pt", lexicon) == ["fulano@sapo.pt"]
    # What spaCy said is kept.
    assert lexicon.asked == asked and len(lexicon) < 20


def test_words_do_not_depend_on_what_a_lexicon_met_before() -> None:
    text = "O chunk :-) e (foo): a@b.pt, Dr. e 5km"
    lexicon = lexicon_of()
    expected = words_of(text)
    words_of("ele disse: " + " ".join(PROSE.values()), lexicon)
    assert words_of(text, lexicon) == expected


def test_what_spacy_was_asked_is_kept_between_runs(tmp_path: Path) -> None:
    first = Lexicon.open(tmp_path, max_chunks=50)
    assert words_of("<a>b</a>. (foo): 9): ok", first)[:6] == ["<", "a", ">", "b</a", ">", "."]
    assert first.asked == 3
    first.save()
    first.save()
    (file,) = tmp_path.glob("spacy-*/*")
    second = Lexicon.open(tmp_path)
    assert words_of("ok (foo): <a>b</a>. 9):", second) == [
        "ok", "(", "foo", "):", "<", "a", ">", "b</a", ">", ".", "9", "):"
    ]  # fmt: skip
    assert second.asked == 0


PERSONAL = "rui@sapo.pt. @rui): 912-345): 9-1-2): ٣٤٥): http://eu:1@sapo.pt/rui). x://y):"


def test_chunks_that_may_be_personal_data_are_not_saved(tmp_path: Path) -> None:
    lexicon = Lexicon.open(tmp_path)
    words_of(PERSONAL, lexicon)
    asked = lexicon.asked
    lexicon.save()
    assert asked >= 6 and list(tmp_path.rglob("*.arrow")) == []
    words_of(f"(foo): {PERSONAL} (12):", lexicon)
    lexicon.save()
    (file,) = tmp_path.rglob("*.arrow")
    table = pa.ipc.open_file(file.read_bytes()).read_all()
    assert table.column("chunk").to_pylist() == [b"(foo):", b"(12):"]
    again = Lexicon.open(tmp_path)
    words_of("(foo): (12):", again)
    assert again.asked == 0
    words_of(PERSONAL, again)
    assert again.asked == asked


def test_a_damaged_file_of_a_lexicon_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lexicon = Lexicon.open(tmp_path)
    words_of("(foo):", lexicon)
    lexicon.save()
    (file,) = tmp_path.glob("spacy-*/*.arrow")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    other = Lexicon.open(tmp_path)
    assert words_of("(foo):", other) == ["(", "foo", "):"] and other.asked == 1
    assert file.name in caplog.text


def test_many_files_of_a_lexicon_become_one(tmp_path: Path) -> None:
    for number in range(MANY_FILES + 1):
        lexicon = Lexicon.open(tmp_path)
        words_of(f"(a{number}):", lexicon)
        lexicon.save()
    assert len(list(tmp_path.glob("spacy-*/*"))) == 1
    again = Lexicon.open(tmp_path)
    words_of(" ".join(f"(a{number}):" for number in range(MANY_FILES + 1)), again)
    assert again.asked == 0


def test_splitting_words_imports_no_torch_and_leaves_it_importable() -> None:
    code = (
        "import sys; from importlib.util import find_spec;"
        "from tagarela_dagster.corpus.filtering.lexicon import Lexicon; Lexicon().words('R$5');"
        "assert 'torch' not in sys.modules; assert find_spec('torch') is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 24, 25, 33])
def test_chunks_alike_but_for_one_byte_are_told_apart_at_every_length(size: int) -> None:
    chunks = ["a" * size, "a" * (size - 1) + "b", "a" * (size - 1) + "\0", "b" + "a" * (size - 1)]
    chunks += ["a" * (size + 1), "a" * size + "\0"]
    lexicon = lexicon_of()
    for _ in range(2):
        for chunk in chunks:
            assert "".join(lexicon.words(chunk)) == chunk
    together = lexicon.words(" ".join(chunks))
    assert "".join(together) == "".join(chunks)


def test_every_white_space_of_unicode_parts_words_and_its_neighbours_do_not() -> None:
    lexicon = lexicon_of()
    for code in [*range(1, 0x3100), 0xFEFF, 0xE0020]:
        character = chr(code)
        words = lexicon.words(f"um{character}dois{character}")
        assert (words == ["um", "dois"]) == character.isspace(), hex(code)
