from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tagarela_dagster.corpus.kernels.ngram_perplexity import BEGIN as FIRST
from tagarela_dagster.corpus.kernels.ngram_perplexity import (
    FINISH,
    find,
    token_hashes,
    word_numbers,
)
from tagarela_dagster.corpus.models.ngram_counts import FALLBACK, discount
from tagarela_dagster.corpus.models.ngram_model import EmptyTextError, NgramModel, train
from tagarela_dagster.corpus.models.tensors import ModelFormatError
from tests.corpus.models.texts import BRAZIL, PORTUGAL, buffers, plain_tokens

LINES = [*BRAZIL, *PORTUGAL, *BRAZIL[:2], "O comboio chegou.", "O comboio partiu.", "Choveu."] * 3
BEGIN, END = "<s>", "</s>"


class Reference:
    """Interpolated modified Kneser-Ney over dictionaries, as Chen and Goodman write it down."""

    def __init__(self, lines: list[str], order: int) -> None:
        sentences = [[BEGIN, *plain_tokens(line), END] for line in lines]
        raw: list[Counter[tuple[str, ...]]] = [
            Counter(tuple(s[i : i + n]) for s in sentences for i in range(len(s) - n + 1))
            for n in range(1, order + 1)
        ]
        self.counts = [raw[-1]]
        for n in range(order - 1, 0, -1):
            follows = Counter(gram[1:] for gram in raw[n])
            self.counts.insert(
                0, Counter({g: c if g[0] == BEGIN else follows[g] for g, c in raw[n - 1].items()})
            )
        del self.counts[0][BEGIN,]
        self.words = len(self.counts[0]) + 1  # and <unk>
        self.discounts = [discount(np.array(list(c.values()))) for c in self.counts]

    def probability(self, context: tuple[str, ...], word: str) -> float:
        if len(context) == 0:
            return self._one(0, (), word, 1 / self.words)
        lower = self.probability(context[1:], word)
        return self._one(len(context), context, word, lower)

    def _one(self, level: int, context: tuple[str, ...], word: str, lower: float) -> float:
        table = self.counts[level]
        followers = [c for g, c in table.items() if g[:-1] == context and c]
        if not followers:
            return lower
        total = sum(followers)
        taken = sum(min(c, self._discount(level, c)) for c in followers)
        count = table.get((*context, word), 0)
        return max(0, count - self._discount(level, count)) / total + taken / total * lower

    def _discount(self, level: int, count: int) -> float:
        return [0.0, *self.discounts[level]][min(count, 3)]

    def total(self, line: str, order: int) -> float:
        words = [BEGIN, *plain_tokens(line), END]
        found = (
            self.probability(tuple(words[max(0, i - order + 1) : i]), words[i])
            for i in range(1, len(words))
        )
        return sum(math.log10(p) for p in found)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_probabilities_are_those_of_a_plain_reference(order: int) -> None:
    model, reference = train(LINES, order, [1], 1_000), Reference(LINES, order)
    for line in (BRAZIL[0], PORTUGAL[3], "O telemóvel chegou de comboio.", "Nada disto se viu"):
        totals = model.totals(*buffers(line))[0]
        assert totals[1] == len(plain_tokens(line)) + 1
        assert totals[0] == pytest.approx(reference.total(line, order), rel=1e-5)


@pytest.mark.parametrize("min_counts", [[1], [1, 1, 4], [1, 4]])
def test_probabilities_of_all_words_sum_to_one_after_any_context(min_counts: list[int]) -> None:
    model = train(LINES, 3, min_counts, 1_000)
    words = sorted({w for line in LINES for w in plain_tokens(line)})
    for context in ("", "o", "o comboio", "eu não", "desconhecido comboio", "de xyz"):
        longer = [f"{context} {word}" for word in [*words, "zzz"]]
        # Without the sentence's end. Text without a word has no sentence at all.
        before = model.totals(*buffers(context))[0, 0] - _end(model, context) if context else 0
        totals = model.totals(*buffers(*longer))[:, 0]
        after = [t - _end(model, text) for t, text in zip(totals, longer, strict=True)]
        whole = sum(10 ** (a - before) for a in after) + 10 ** _end(model, context)
        assert whole == pytest.approx(1, abs=2e-5)


def _end(model: NgramModel, context: str) -> float:
    """log10 P(</s> | context), from the tables by definition."""
    data, offsets = buffers(context)
    hashes = np.empty(len(data) + 2, np.uint64)
    hashes = hashes[: token_hashes(data, offsets, hashes)]
    numbers = [FIRST, *word_numbers(hashes, model.vocabulary)[:-1].tolist()]
    values, total = model.grams.view(np.float32).reshape(-1, 4), 0.0
    tables = [model.grams[a:b] for a, b in zip(model.starts, model.starts[1:], strict=False)]
    for length in range(min(len(numbers), len(tables)), -1, -1):
        place = None
        for depth, number in enumerate([*numbers[len(numbers) - length :], FINISH]):
            if depth == 0:
                place, row = number, model.words[number]
                continue
            key = (np.uint64(place) << np.uint64(24) | np.uint64(number)) + np.uint64(1)
            found = find(tables[depth - 1], key)
            if found < 0:
                break
            place, row = found, values[model.starts[depth - 1] + found, 2:]
        else:
            return total + float(row[0])
        if depth == length:  # only the end is missing: back off from the whole context
            total += float(row[1])
    raise AssertionError("unreachable: single words are always there")


def test_a_new_word_costs_more_than_any_known_one() -> None:
    model = train(LINES, 3, [1], 1_000)
    known, unknown = model.perplexities_of(["O comboio chegou.", "O quasar chegou."])
    assert known < 4 < unknown


def test_words_beyond_the_vocabulary_are_unknown_and_not_counted() -> None:
    model = train(LINES, 3, [1], 5)
    assert model.report["vocabulary"] == 8 and model.report["unknown"] > 0
    assert model.perplexities_of([BRAZIL[0]])[0] == pytest.approx(12.5466, abs=1e-3)


def test_a_line_is_a_sentence_and_texts_do_not_look_at_each_other() -> None:
    model = train(LINES, 3, [1], 1_000)
    together = model.totals(*buffers("Choveu.\n\nO comboio partiu."))[0]
    apart = model.totals(*buffers("Choveu.", "", "O comboio partiu."))
    assert together.tolist() == pytest.approx(apart.sum(axis=0).tolist())
    assert apart[1].tolist() == [0, 0]
    assert np.isnan(model.perplexities_of([" \n\x00\n "])[0])


def test_tiers_are_cut_at_the_cut_points() -> None:
    model = train(LINES, 2, [1], 1_000)
    model = NgramModel(**{**vars(model), "cuts": (10.0, 20.0)})
    tiers = model.tiers(np.array([1, 10, 10.1, 20, 21, np.nan]))
    assert tiers[:5].tolist() == [0, 0, 1, 1, 2] and np.isnan(tiers[5])


def test_a_saved_model_gives_the_same_and_its_format_is_pinned(tmp_path: Path) -> None:
    model = train(LINES, 3, [1, 1, 2], 1_000)
    model.save(tmp_path)
    again = NgramModel.load(tmp_path)
    assert again.totals(*buffers(*LINES)).tolist() == model.totals(*buffers(*LINES)).tolist()
    assert [len(model.words), *model.report["ngrams"][1:]] == KNOWN_SIZES
    assert again.perplexities_of([BRAZIL[0]])[0] == pytest.approx(KNOWN_PERPLEXITY, rel=1e-6)
    place = find(again.vocabulary, np.uint64(COMBOIO))
    assert again.vocabulary[place].tolist() == [COMBOIO, again.vocabulary[place, 1]]
    (tmp_path / "model.safetensors").write_bytes(b"\x02")
    with pytest.raises(ModelFormatError, match="no readable model"):
        NgramModel.load(tmp_path)


def test_discounts_are_chen_and_goodmans() -> None:
    counts = np.repeat([1, 2, 3, 4], [100, 40, 20, 12])
    y = 100 / 180
    expected = [1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.6]
    assert discount(counts) == pytest.approx(expected)
    assert discount(np.array([1, 1, 3])) == list(FALLBACK)


def test_text_without_a_word_trains_nothing() -> None:
    with pytest.raises(EmptyTextError, match="no word"):
        train(["", " \n"], 3, [1], 100)


KNOWN_SIZES = [76, 116, 124]
KNOWN_PERPLEXITY = 1.40513475
COMBOIO = 4424327001528496447
"""Hash of the word "comboio"."""
