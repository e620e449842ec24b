from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagarela_dagster.corpus.kernels.ngram_linear import features
from tagarela_dagster.corpus.kernels.ngram_words import FNV_OFFSET, FNV_PRIME, mix, new_word
from tagarela_dagster.corpus.models.fitting import train
from tagarela_dagster.corpus.models.linear import (
    LinearModel,
    feature_capacity,
    feature_options,
)
from tagarela_dagster.corpus.models.training_set import TrainingTextError
from tagarela_dagster.recipe.models import Features, Fitting
from tests.corpus.models.texts import BRAZIL, PORTUGAL, buffers, passages

CLASSES = ("pt-BR", "pt-PT")
SMALL = Features(bits=14)
AGREEMENT = Fitting(method="agreement", folds=8)
LOGISTIC = Fitting(epochs=3, folds=4)


def buckets(text: str, section: Features = SMALL) -> list[int]:
    data, offsets = buffers(text)
    out = np.empty(feature_capacity(section), np.int32)
    options = feature_options(section)
    found = features(data, offsets[0], offsets[1], options, new_word(), out)
    return sorted(out[:found].tolist())


def test_features_are_words_pairs_and_characters_between_boundaries() -> None:
    words = Features(bits=20, max_characters=0)
    assert len(buckets("o gato dorme", words)) == 5
    # A full stop parts a pair, a comma does not.
    assert len(buckets("o gato. dorme", words)) == 4
    assert buckets("o gato, dorme", words) == buckets("o gato dorme", words)
    # <pé>: <p, <pé, <pé>, pé, pé>, é> and the word itself.
    assert len(buckets("pé", Features(min_characters=2, max_characters=4, word_ngrams=1))) == 7
    value = np.uint64(FNV_OFFSET)
    with np.errstate(over="ignore"):
        for byte in "<pé".encode():
            value = (value ^ np.uint64(byte)) * FNV_PRIME
    expected = int(mix(value) >> np.uint64(50))
    assert expected in buckets("pé", Features(bits=14, min_characters=3, max_characters=3))


def test_capitals_accents_and_numbers_do_not_change_features() -> None:
    assert buckets("ÓTIMA Ação em 1988", Features(mask_names=False)) == buckets(
        unicodedata.normalize("NFD", "ótima ação em 2024"), Features(mask_names=False)
    )


def test_a_name_inside_a_sentence_is_masked() -> None:
    assert buckets("Eu vi Lisboa ontem") == buckets("Eu vi Recife ontem")
    assert buckets("Eu vi. Lisboa dorme") != buckets("Eu vi. Recife dorme")
    unmasked = Features(mask_names=False)
    assert buckets("Eu vi Lisboa ontem", unmasked) != buckets("Eu vi Recife ontem", unmasked)


def test_of_a_long_text_start_middle_and_end_are_looked_at() -> None:
    section = Features(max_bytes=300)
    parts = ["um gato preto " * 500, "dois cães brancos " * 500, "três aves azuis " * 500]
    found = set(buckets("".join(parts), section))
    for part in ("um gato preto", "dois cães brancos", "três aves azuis"):
        assert set(buckets(part, section)) <= found
    assert len(buckets("".join(parts) * 100, section)) <= feature_capacity(section)


@pytest.mark.parametrize("fitting", [AGREEMENT, LOGISTIC], ids=["agreement", "logistic"])
def test_a_model_tells_varieties_in_sources_that_it_has_not_seen(fitting: Fitting) -> None:
    model = train(passages(), CLASSES, SMALL, fitting, seed=1)
    report = model.report
    assert report["folds_dealt_by"] == "source" and report["passages"] == 192
    assert report["left_out"]["accuracy"] == 1 and report["left_out"]["brier"] < 0.05
    assert {row["source"] for row in report["by_source"]} >= {"futebol_br", "viagens_pt"}
    found = model.probabilities_of([BRAZIL[0], PORTUGAL[0], "", "12 …"])
    assert found[0, 1] < 0.2 and found[1, 1] > 0.8
    # A number is a word of its own; only text without any has no score.
    assert np.isnan(found[2]).all() and not np.isnan(found[3]).any()
    assert found[:2].sum(axis=1) == pytest.approx([1, 1])


def test_topics_of_single_sources_are_not_learnt_by_agreement() -> None:
    model = train(passages(), CLASSES, SMALL, AGREEMENT, seed=1)
    topics = model.probabilities_of(["futebol", "parlamento", "cozinha"])[:, 1]
    words = model.probabilities_of(["você", "equipa"])[:, 1]
    assert words[0] < 0.3 and words[1] > 0.7
    assert abs(topics - 0.5).max() < 0.2


@pytest.mark.parametrize("fitting", [AGREEMENT, LOGISTIC], ids=["agreement", "logistic"])
def test_training_is_repeatable_to_the_bit(fitting: Fitting) -> None:
    one, two = (train(passages(), CLASSES, SMALL, fitting, seed=7) for _ in range(2))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert one.calibration == two.calibration and one.report == two.report


def test_three_classes_have_two_columns() -> None:
    third = [replace(p, label="other", text=p.text[::-1]) for p in passages() if "pt" in p.source]
    third = [replace(p, source=p.source + "_x", document=p.document + "x") for p in third]
    model = train([*passages(), *third], (*CLASSES, "other"), SMALL, LOGISTIC, seed=1)
    assert model.weights.shape == (1 << 14, 2)
    found = model.probabilities_of([BRAZIL[0], PORTUGAL[0], PORTUGAL[0][::-1]])
    assert found.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_single_source_is_dealt_by_document_and_the_report_says_so() -> None:
    mixed = [replace(p, source="livros") for p in passages()]
    model = train(mixed, CLASSES, SMALL, AGREEMENT, seed=1)
    assert model.report["folds_dealt_by"] == "document"
    assert model.report["left_out"]["accuracy"] > 0.95


def test_a_class_without_text_is_an_error_that_names_it() -> None:
    with pytest.raises(TrainingTextError, match="'pt-PT'.*futebol_br"):
        train([p for p in passages() if p.label == "pt-BR"], CLASSES, SMALL, AGREEMENT, seed=1)


def test_a_text_scores_the_same_alone_and_among_others() -> None:
    model = train(passages(), CLASSES, SMALL, AGREEMENT, seed=1)
    texts = [BRAZIL[1], "\x00\u202e😀" * 50, PORTUGAL[2] * 300, "a" * 100_000, PORTUGAL[1]]
    together = model.probabilities_of(texts)
    alone = np.concatenate([model.probabilities_of([text]) for text in texts])
    assert np.array_equal(together, alone, equal_nan=True)


def test_the_format_is_pinned_by_a_known_answer(tmp_path: Path) -> None:
    model = train(passages(), CLASSES, SMALL, AGREEMENT, seed=1)
    model.save(tmp_path)
    again = LinearModel.load(tmp_path)
    assert again.weights.tobytes() == model.weights.tobytes()
    assert (again.classes, again.features) == (model.classes, model.features)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    found = again.logits(*buffers("O autocarro e o telemóvel.", "Você e o ônibus."))[:, 0]
    assert found == pytest.approx(KNOWN_LOGITS, rel=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        again.weights[0, 0] = 1


KNOWN_LOGITS = [21.09946295, -14.93801216]
