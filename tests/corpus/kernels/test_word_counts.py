from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.word_counts import word_counts

SPACES = [chr(c) for c in range(0x3001) if chr(c).isspace()]
NEAR_SPACES = ["\u1681", "\u200b", "\u2030", "\u2027", "\u3001", "\u00a1", "\u2060", "\ufeff", "é"]


@settings(max_examples=50, deadline=None)
@given(
    texts=st.lists(
        st.text(
            st.sampled_from(SPACES + NEAR_SPACES + ["a", "😀"])
            | st.characters(exclude_categories=["Cs"]),
            max_size=30,
        ),
        max_size=5,
    )
)
def test_words_and_characters_are_those_of_python_strings(texts: list[str]) -> None:
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    words, characters = np.empty(len(texts), np.int64), np.empty(len(texts), np.int64)
    word_counts(data, offsets, words, characters)
    assert words.tolist() == [len(text.split()) for text in texts]
    assert characters.tolist() == [len(text) for text in texts]
