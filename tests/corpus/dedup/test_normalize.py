from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
from datatrove.utils.text import TextNormConfig, simplify_text
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.dedup.chunks import ChunkTable
from tagarela_dagster.corpus.dedup.normalize import normalize_texts
from tagarela_dagster.corpus.filtering.spacy_rules import new_tokenizer
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tests.corpus.dedup.texts import HARD, RIVER

PIECES = [
    *" .,;-0123456789aAeEzZÁçÇºª§€½°'\"\n\t\0\u00a0\u200b\u202e\ufeff",
    *("Σ", "ς", "İ", "ß", "ſ", "ﬁ", "Ǆ", "한", "日", "🙂", "é", "e\u0301", "\u0315", "\u1d165"),
    *("٣", "१", "٫", "⎖", "\U0001d165", "１", "𝟘", "\u037e", "≮", "K", "palavra", "Água", "10h30"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=60).map("".join)


def normalized(texts: list[str], numbers: bool = True) -> list[str]:
    found = normalize_texts(*text_buffers(pa.array(texts, pa.large_string())), numbers=numbers)
    pieces = zip(found.offsets, found.offsets[1:], strict=False)
    return [found.data[start:end].tobytes().decode() for start, end in pieces]


def expected(texts: list[str], numbers: bool = True) -> list[str]:
    config = TextNormConfig(norm_numbers=numbers)
    return [" ".join(simplify_text(text, config).split()) for text in texts]


@given(st.lists(TEXTS, max_size=4), st.booleans())
@settings(max_examples=50, deadline=None)
@example([HARD, "", RIVER, "1.2.3,4 5. 6", "x \u0301 y", "OΔYΣΣEYΣ", "a\u0315\u0300"], True)
def test_normalisation_gives_datatroves_words(texts: list[str], numbers: bool) -> None:
    assert normalized(texts, numbers) == expected(texts, numbers)


def test_every_code_point_is_normalised_as_datatrove_does() -> None:
    points = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    random.Random(1).shuffle(points)
    texts = ["x".join(points[start : start + 100]) for start in range(0, len(points), 100)]
    assert normalized(texts) == expected(texts)


def test_what_no_table_can_give_is_counted_and_hurts_no_neighbour() -> None:
    column = pa.array([RIVER, "ΟΔΥΣΣΕΥΣ", HARD, "Σ"], pa.large_string())
    assert normalize_texts(*text_buffers(column)).by_python == 2
    assert normalized(column.to_pylist()) == expected(column.to_pylist())


def test_bytes_that_are_no_text_are_normalised_as_replacement_characters() -> None:
    rows = [b"fim \xff\xfe", b"cora\xc3", "São".encode(), b"\xed\xa0\x80\xf4\x90\x80\x80", b"\x80"]
    data, offsets = text_buffers(pa.array(rows, pa.large_binary()))
    found = normalize_texts(data, offsets)
    texts = [row.decode("utf-8", "replace") for row in rows]
    places = zip(found.offsets, found.offsets[1:], strict=False)
    assert [found.data[a:b].tobytes().decode() for a, b in places] == expected(texts)


def test_plain_letters_and_marks_fill_no_table() -> None:
    table = ChunkTable()
    table.words(normalize_texts(*text_buffers(pa.array([RIVER] * 3, pa.large_string()))))
    assert len(table) == 0


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=50, deadline=None)
@example([HARD, "12 km, 5kg 10h30 nº3 30°C §2º 100€ R$5 c3po 1º/2ª 3ª 50m²"])
def test_words_are_spacys(texts: list[str]) -> None:
    tokenizer = new_tokenizer()
    table = ChunkTable(max_chunks=3)
    for _ in range(2):  # the second time from the table, where it has not started again
        data, offsets = table.words(
            normalize_texts(*text_buffers(pa.array(texts, pa.large_string())))
        )
        found = [data[a:b].tobytes().decode() for a, b in zip(offsets, offsets[1:], strict=False)]
        words = [[token.text.strip() for token in tokenizer(simplify_text(t))] for t in texts]
        assert found == [" ".join(filter(None, of_text)) for of_text in words]


def test_no_special_case_of_spacy_that_spans_white_space_survives_normalisation() -> None:
    tokenizer = new_tokenizer()
    spanning = [
        case
        for case, words in tokenizer.rules.items()
        if case.strip()
        and (len(words) > 1 or any(map(str.isspace, case)) or tokenizer.find_prefix(case)
             or tokenizer.find_suffix(case) or tokenizer.find_infix(case))
    ]  # fmt: skip
    assert len(spanning) > 100
    assert [case for case in spanning if simplify_text(case) == case] == []
    split = [case for case, words in tokenizer.rules.items() if len(words) > 1]
    assert not any(case.isascii() and case.isalpha() for case in split)


def test_a_slice_of_a_column_is_normalised_alone() -> None:
    column = pa.array([HARD, "Água", HARD], pa.large_string()).slice(1, 1)
    found = normalize_texts(*text_buffers(column))
    assert found.data[: found.offsets[-1]].tobytes() == b"agua"
    assert np.array_equal(found.offsets, [0, 4])
