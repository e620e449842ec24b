from __future__ import annotations

import numpy as np
import pytest
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.text import TextNormConfig, simplify_text
from hypothesis import example, given
from hypothesis import strategies as st

from tagarela_dagster.corpus.dedup import minhash
from tagarela_dagster.corpus.dedup.minhash import Signer, hash_shingles, parameters
from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.recipe.dedup import Minhash
from tests.corpus.dedup.texts import LIGHTHOUSE, MARKET, RIVER, RIVER_LATER, SHORT

HARD = (
    "D. Inês pagou R$ 1.234,56 (ou 12 €) às 10h30; «vê-lo-ás», disse-lhe o Sr. Sá d'Orey, na "
    "pág. 3.\n\nE-mail: ze@exemplo.pt — 50% off!!! :-) ½ ﬁm Ǆ ﷺ 한국 日本 🙂👍🏽 i\u0307 "
    "x\u0301\u0302 \u00a0 fim"
)
TEXTS = [RIVER, RIVER_LATER, MARKET, LIGHTHOUSE, HARD, HARD * 40]


def datatrove_step(section: Minhash) -> MinhashDedupSignature:
    config = MinhashConfig(section.n_grams, section.bands, section.rows, section.seed)
    return MinhashDedupSignature("/nonexistent", config, language="por_Latn")


def least(signer: Signer, texts: list[str]) -> np.ndarray:
    shingles = [hash_shingles(signer.words(text), signer.section.n_grams) for text in texts]
    return signer.minhash(np.concatenate(shingles), np.array([len(s) for s in shingles]))


@pytest.mark.parametrize("section", [Minhash(), Minhash(n_grams=3, bands=9, rows=13, seed=7)])
def test_signatures_equal_datatroves_to_the_bit(
    section: Minhash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minhash, "BLOCK", 50)
    theirs = datatrove_step(section)
    expected = [
        np.concatenate(theirs.get_signature(theirs.get_shingles(text))).tolist() for text in TEXTS
    ]
    assert least(Signer(section), TEXTS).tolist() == expected


def test_hash_functions_are_the_ones_datatrove_draws() -> None:
    a, b = parameters(Minhash())
    theirs = datatrove_step(Minhash()).parameters
    assert (a == theirs[0][0]).all() and (b == theirs[1][0]).all()


def test_the_format_is_pinned() -> None:
    signatures = Signer(Minhash()).sign([LIGHTHOUSE, SHORT])
    assert [e.hex() for e in signatures.exact] == [
        "54cc553888045bc7c0b317a58504c41a",
        "432a43d9caeded3bd395bb383593f8dd",
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


def test_a_text_is_signed_alike_in_any_company() -> None:
    signer = Signer(Minhash())
    together = signer.sign([SHORT, *TEXTS, "", *TEXTS])
    alone = [Signer(Minhash()).sign([text]).bands[0] for text in TEXTS]
    assert together.signed.tolist() == [False] + [True] * 6 + [False] + [True] * 6
    for index, bands in enumerate(alone):
        assert (together.bands[1 + index] == bands).all()
        assert (together.bands[8 + index] == bands).all()


def test_five_words_are_signed_and_four_are_not() -> None:
    signatures = Signer(Minhash()).sign(
        ["Hoje choveu em Lisboa.", "Hoje choveu muito em Lisboa.", "...", "", " \n"]
    )
    assert signatures.words.tolist() == [4, 5, 0, 0, 0]
    assert signatures.signed.tolist() == [False, True, False, False, False]


def test_no_texts_give_no_signatures() -> None:
    signatures = Signer(Minhash()).sign([])
    assert signatures.bands.shape == (0, 14)
    assert signatures.exact == []


@given(st.text())
@example("\ud7ff\ue000")
@example("a\u0315\u0300 ᾳ ſ \u1d165 \x85\x1c0,1٫2 Σ")
@example(HARD)
def test_normalisation_equals_datatroves(text: str) -> None:
    assert normalize(text) == simplify_text(text)
    config = TextNormConfig(norm_numbers=False)
    assert normalize(text, numbers=False) == simplify_text(text, config)
