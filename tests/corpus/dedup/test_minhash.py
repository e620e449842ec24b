from __future__ import annotations

import random
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest, xxh64_intdigest

from tagarela_dagster.corpus.dedup import minhash
from tagarela_dagster.corpus.dedup.minhash import Signatures, Signer, parameters
from tagarela_dagster.corpus.kernels.minhash import (
    BLOCK,
    PART,
    PRIME,
    WINDOW,
    bound_parameters,
    lower,
)
from tagarela_dagster.recipe.dedup import Minhash
from tests.corpus.dedup.texts import HARD, LIGHTHOUSE, MARKET, RIVER, RIVER_LATER, SHORT

TEXTS = [RIVER, RIVER_LATER, MARKET, LIGHTHOUSE, HARD, HARD * 40]


def shuffled(words: int) -> str:
    """A text of so many words, hardly any of its shingles twice."""
    vocabulary = " ".join([RIVER, MARKET, LIGHTHOUSE]).split()
    return " ".join(random.Random(words).choices(vocabulary, k=words))


def datatrove_step(section: Minhash) -> MinhashDedupSignature:
    config = MinhashConfig(section.n_grams, section.bands, section.rows, section.seed)
    return MinhashDedupSignature("/nonexistent", config, language="por_Latn")


def datatroves(section: Minhash, texts: list[str]) -> list[list[int]]:
    """Least value of every hash function, by datatrove."""
    step = datatrove_step(section)
    return [np.concatenate(step.get_signature(step.get_shingles(text))).tolist() for text in texts]


def alike(one: Signatures, row: int, other: Signatures, other_row: int = 0) -> bool:
    """Whether a text has the same signature in both, but for the bytes it is made of."""
    columns = ("normalized", "words", "signed", "bands")
    return all((getattr(one, c)[row] == getattr(other, c)[other_row]).all() for c in columns)


@pytest.mark.parametrize("section", [Minhash(), Minhash(n_grams=3, bands=9, rows=13, seed=7)])
def test_signatures_equal_datatroves_to_the_bit(section: Minhash) -> None:
    long = [shuffled(words) for words in (PART + 4, 700, BLOCK + 3, BLOCK + 5, 2 * BLOCK + 100)]
    long.append("x" * (WINDOW - 1) + " um dois três quatro cinco " + "y" * 2 * WINDOW + " fim")
    texts = TEXTS + long
    assert Signer(section).minhash(texts).tolist() == datatroves(section, texts)


WORDS = st.sampled_from([*RIVER.split(), "12,5", "50%", "d'água", "½", "3ª", "\n", "İ", "Σ", "🙂"])


@given(st.lists(st.lists(WORDS, min_size=5, max_size=60).map(" ".join), max_size=3))
@settings(max_examples=30, deadline=None)
def test_signatures_of_any_text_equal_datatroves(texts: list[str]) -> None:
    found = Signer(Minhash()).sign(texts)
    rows = np.flatnonzero(found.signed).tolist()
    expected = datatroves(Minhash(), [texts[row] for row in rows])
    for row, least in zip(rows, expected, strict=True):
        bands = np.array(least, "<u8").reshape(14, 8)
        assert found.bands[row].tolist() == [xxh64_intdigest(band.tobytes()) for band in bands]


EDGES = [edge + near for edge in (0, 2**61, 2**62, 2**63, 2**64) for near in range(-9, 10)]
NEAR_EDGES = st.sampled_from([value % 2**64 for value in EDGES])


@given(
    st.lists(NEAR_EDGES, min_size=1, max_size=3 * PART),
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 2**60, 2**61 - 2]), NEAR_EDGES), min_size=1),
    st.lists(NEAR_EDGES, max_size=3 * PART),
)
@settings(max_examples=50, deadline=None)
def test_bounds_miss_no_minimum_where_values_wrap(
    shingles: list[int], functions: list[tuple[int, int]], more: list[int]
) -> None:
    a, b = np.array(functions, np.uint64).T.copy()
    least = np.full(len(a), PRIME, np.uint64)
    bounds = np.empty((4, len(a)), np.int64)
    for values in filter(None, (shingles, more)):
        block = np.zeros(len(values) + PART, np.uint64)
        block[: len(values)] = values
        lower(block, len(values), a, b, *bound_parameters(a, b), bounds, least)
    expected = [
        min((x * k + c) % 2**64 % (2**61 - 1) for x in shingles + more)
        for k, c in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert least.tolist() == expected


def test_hash_functions_are_the_ones_datatrove_draws() -> None:
    a, b = parameters(Minhash())
    theirs = datatrove_step(Minhash()).parameters
    assert (a == theirs[0][0]).all() and (b == theirs[1][0]).all()


def test_the_format_is_pinned() -> None:
    signatures = Signer(Minhash()).sign([LIGHTHOUSE, SHORT])
    assert [row.tobytes().hex() for row in signatures.exact] == [
        "54cc553888045bc7c0b317a58504c41a",
        "432a43d9caeded3bd395bb383593f8dd",
    ]
    assert [row.tobytes().hex() for row in signatures.normalized] == [
        "967130f4b8b413bde2cedf14d136aeaa",
        "97a2f2fe78322ddea842127b1b184f5c",
    ]
    assert signatures.words.tolist() == [56, 3]
    assert signatures.signed.tolist() == [True, False]
    assert signatures.bands[0].tolist() == [
        17059136349528823162,
        11007285773533955629,
        12131426013521188123,
        2979911286246524206,
        5513637137999647006,
        14790909523418797898,
        9298282232425300718,
        2119336789936901484,
        3600574009463687789,
        3874703511582895508,
        16884838619456096061,
        2120218468615167792,
        2403345561954034666,
        8496281261997482012,
    ]


def test_a_text_is_signed_alike_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [SHORT, *TEXTS, "", *TEXTS]
    together = Signer(Minhash()).sign(texts)
    assert together.signed.tolist() == [False] + [True] * 6 + [False] + [True] * 6
    for row, text in enumerate(texts):
        assert alike(together, row, Signer(Minhash()).sign([text]))
    monkeypatch.setattr(minhash, "GROUP_BYTES", 1_000)
    in_groups = Signer(Minhash()).sign(texts)
    assert all(alike(together, row, in_groups, row) for row in range(len(texts)))


def test_five_words_are_signed_and_four_are_not() -> None:
    texts = ["Hoje choveu em Lisboa.", "Hoje choveu muito em Lisboa.", "...", "", " \n"]
    signatures = Signer(Minhash()).sign(texts)
    assert signatures.words.tolist() == [4, 5, 0, 0, 0]
    assert signatures.signed.tolist() == [False, True, False, False, False]
    assert signatures.bytes.tolist() == [len(text.encode()) for text in texts]


def test_the_normalized_hash_is_of_the_words_alone() -> None:
    found = Signer(Minhash()).sign([SHORT, "FIM - da  historia", "fim da estória", ""])
    digests = [row.tobytes() for row in found.normalized]
    assert digests[0] == digests[1] == xxh3_128_digest("fim da historia")
    assert digests[2] == xxh3_128_digest("fim da estoria")
    assert digests[3] == xxh3_128_digest("")


def test_accents_in_one_character_or_two_are_the_same_words() -> None:
    found = Signer(Minhash()).sign([RIVER, unicodedata.normalize("NFD", RIVER)])
    assert alike(found, 0, found, 1)
    assert (found.exact[0] != found.exact[1]).any()


def test_hard_texts_neither_stall_nor_touch_their_neighbours() -> None:
    texts = {
        "palavra " * 1_250_000: 1_250_000,  # one line of 10 MB
        "a\n" * 1_000_000: 1_000_000,
        "\0" * 1_000_000: 0,
        "\u202e\u200f" * 100_000 + "fim": 801,  # marks from right to left, one chunk
        "e\u0301" * 1_000_000: 1,
        "z" * 5_000_000: 1,
        "🙂" * 100_000: 100_000,
        "0a" * 500_000: 4_000,
    }
    column = [RIVER] + [piece for text in texts for piece in (text, RIVER)]
    found = Signer(Minhash()).sign(column)
    assert found.words[1::2].tolist() == [*texts.values()]
    assert all(alike(found, 0, found, row) for row in range(2, len(column), 2))


def test_any_column_of_texts_is_signed() -> None:
    expected = Signer(Minhash()).sign(TEXTS)
    column = pa.chunked_array([pa.array([SHORT, *TEXTS[:2]]), pa.array(TEXTS[2:], pa.string())])
    found = Signer(Minhash()).sign(column.slice(1))
    assert (found.bands == expected.bands).all() and (found.exact == expected.exact).all()
    assert Signer(Minhash()).sign(pa.array([None, SHORT])).words.tolist() == [0, 3]


def test_no_texts_give_no_signatures() -> None:
    signatures = Signer(Minhash()).sign([])
    assert signatures.bands.shape == (0, 14)
    assert signatures.exact.shape == (0, 16)
