from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.kernels.buffers import text_buffers, texts_from_buffers
from tagarela_dagster.corpus.kernels.phrase_lines import lines_of, without_lines
from tagarela_dagster.corpus.kernels.phrases import PhraseTable, expand, fold

TABLE = PhraseTable(["política de privacidade", "política", "leia mais", "<n> comentários", "mais"])


def found(*texts: str) -> list[tuple[int, str, str]]:
    """Row, what stands there, and the phrase, of every hit."""
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    hits = TABLE.find(data, offsets)
    return [
        (int(row), data[start:end].tobytes().decode(), TABLE.phrases[phrase])
        for row, start, end, phrase in zip(hits.row, hits.start, hits.end, hits.phrase, strict=True)
    ]


def test_a_pattern_expands_to_its_phrases() -> None:
    assert list(expand("(leia|ler) mais (aqui)?")) == [
        "leia mais aqui",
        "leia mais",
        "ler mais aqui",
        "ler mais",
    ]


def test_phrases_are_found_whatever_their_accents_capitals_and_spaces() -> None:
    assert found("A POLITICA  de\u00a0Privacidade.", "Leia-mais", "poli\u0301tica") == [
        (0, "POLITICA", "política"),
        (0, "POLITICA  de\u00a0Privacidade", "política de privacidade"),
        (1, "Leia-mais", "leia mais"),
        (1, "mais", "mais"),
        (2, "poli\u0301tica", "política"),
    ]


def test_a_number_stands_for_any_number() -> None:
    assert found("Há 1204 comentários") == [(0, "1204 comentários", "<n> comentários")]
    assert found("Há 12b comentários", "comentários") == []


def test_a_phrase_does_not_run_across_lines_sentences_or_texts() -> None:
    assert [hit[2] for hit in found("leia\nmais", "leia. mais", "leia", "mais")] == ["mais"] * 3


def test_parts_of_words_are_no_hits() -> None:
    assert found("demais maisena políticas") == []


def test_a_failed_match_falls_back_to_the_longest_suffix() -> None:
    table = PhraseTable(["a b c d", "b c e", "c"])
    data, offsets = text_buffers(pa.array(["a b c e"], pa.large_string()))
    hits = table.find(data, offsets)
    assert [table.phrases[p] for p in hits.phrase] == ["c", "b c e"]
    assert hits.words.tolist() == [4]


def test_equal_phrases_are_all_found() -> None:
    table = PhraseTable(["ver mais", "mais", "Ver Mais", "mais"])
    hits = table.find(*text_buffers(pa.array(["ver mais"], pa.large_string())))
    assert sorted(hits.phrase.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("phrase", ["", "a " * 17, "привет", "a@b", "2024"])
def test_a_phrase_that_cannot_be_found_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="phrase"):
        PhraseTable([phrase])


def slow(text: str, phrases: list[str]) -> list[tuple[int, str]]:
    """Phrases by word index, for text of plain words and spaces."""
    words = fold(text).split(" ")
    return sorted(
        (start, phrase)
        for phrase in phrases
        for start in range(len(words))
        if words[start : start + len(phrase.split())] == phrase.split()
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from("abÁc"), min_size=1, max_size=40),
    st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=8, unique=True),
)
def test_the_automaton_finds_what_a_plain_search_finds(words: list[str], keys: list[str]) -> None:
    phrases = [" ".join(key) for key in keys]
    table = PhraseTable(phrases)
    hits = table.find(*text_buffers(pa.array([" ".join(words)], pa.large_string())))
    got = sorted((int(w), table.phrases[p]) for w, p in zip(hits.word, hits.phrase, strict=True))
    assert got == slow(" ".join(words), phrases)


def without(text: str) -> str:
    data, offsets = text_buffers(pa.array(["antes", text, "depois"], pa.large_string()))
    hits = TABLE.find(data, offsets)
    lines = lines_of(data, offsets, hits)
    made = texts_from_buffers(*without_lines(data, offsets, lines, lines.words > 0)).to_pylist()
    assert (made[0], made[2]) == ("antes", "depois")
    return made[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("um\nleia mais\ndois", "um\ndois"),
        ("um\n\nleia mais\n\ndois", "um\n\ndois"),
        ("leia mais\n\num", "um"),
        ("um\n\nleia mais\n", "um"),
        ("\n\num\n\n", "\n\num\n\n"),
        ("leia mais", ""),
        ("um\n\n\n\ndois\nmais", "um\n\n\n\ndois"),
    ],
)
def test_lines_go_with_the_blank_lines_that_they_leave(text: str, expected: str) -> None:
    assert without(text) == expected


def test_words_under_several_phrases_are_covered_once() -> None:
    data, offsets = text_buffers(pa.array(["x política de privacidade mais"], pa.large_string()))
    hits = TABLE.find(data, offsets)
    lines = lines_of(data, offsets, hits)
    assert lines.words.tolist() == [5]
    assert lines.covered(hits, TABLE.lengths, hits.row == 0).tolist() == [4]
    assert lines.covered(hits, TABLE.lengths, hits.row > 0).tolist() == [0]


def test_a_long_line_and_a_million_short_ones_take_linear_time() -> None:
    texts = ["leia mais " * 200_000, "mais\n" * 300_000, "\n" * 300_000, "é" * 500_000]
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    hits = TABLE.find(data, offsets)
    lines = lines_of(data, offsets, hits)
    assert (len(hits.row), len(lines.row)) == (700_000, 300_001)
    made, bounds = without_lines(data, offsets, lines, lines.words == 1)
    assert (bounds[2] - bounds[1], len(made)) == (0, bounds[-1])
