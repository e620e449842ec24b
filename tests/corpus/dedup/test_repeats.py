"""Repeated lines and exact substrings: as brute force says, whatever the order and the memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.provenance.lake import Lake
from tests.corpus.dedup.repeated import expected_words, left, repeats, section, words, write_texts

BASE = (
    "o rio subiu durante a noite e de manhã já cobria os campos junto à ponte velha no ano 1912 "
    "sobe o rio e sobe o rio e sobe o rio"
).split()
GAPS = st.sampled_from([" ", " ", " ", ", ", "\n", ".\n\n", " — ", "\u00a0", "\n- ", ". «"])
PIECES = st.tuples(st.integers(0, len(BASE) - 1), st.integers(1, 9), GAPS, GAPS, st.booleans())


def piece(first: int, count: int, inside: str, after: str, loud: bool) -> str:
    """Some words of BASE: what two texts have of it is the same but for case and marks."""
    words = inside.join(BASE[first : first + count])
    return (words.upper().replace("Ã", "A\u0303") if loud else words) + after


TEXTS = st.builds(
    lambda start, pieces: start + "".join(piece(*p) for p in pieces),
    st.sampled_from(["", "", "", "", "!", "=", "\n"]),
    st.lists(PIECES, max_size=6),
)
SHARDS = st.lists(st.dictionaries(st.sampled_from("abcd"), TEXTS, max_size=3), max_size=2)
CORPORA = st.fixed_dictionaries({"x@1": SHARDS, "y@1": SHARDS}, optional={"x@2": SHARDS})
RANKS = {"x": 2, "y": 1}
RULES = st.builds(
    section,
    min_words=st.sampled_from([0, 4, 4, 5, 7]),
    max_documents=st.sampled_from([0, 1, 2]),
    min_letters=st.sampled_from([1, 3, 6]),
    left=st.sampled_from([0, 3]),
    keep_first=st.booleans(),
    scope=st.sampled_from(["corpus", "source"]),
)


@settings(max_examples=25, deadline=None)
@given(CORPORA, RULES)
def test_exactly_what_is_repeated_goes(corpus: dict, rules: object) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = write_texts(folder, corpus)
        manifest = repeats(Lake(folder / "lake"), inputs, rules, RANKS)
        found = left(Lake(folder / "lake"), manifest, corpus)
        expected = expected_words(corpus, rules, RANKS)
        for partition, texts in found.items():
            for i, text in texts.items():
                wanted = expected[partition][i]
                assert (None if text is None else words(text)) == wanted
        assert manifest.counts["collisions"] == 0
        # 400 bytes: hashes go through runs on disk; and the partitions come in another order.
        backwards = dict(reversed(inputs.items()))
        other = repeats(Lake(folder / "o"), backwards, rules, RANKS, memory_megabytes=4e-4)
        assert other.shards == manifest.shards
