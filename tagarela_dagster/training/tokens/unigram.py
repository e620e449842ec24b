"""Unigram vocabulary over bytes, with the same result on every run.

The stock trainer of ``tokenizers`` sums floating-point numbers in the order of a randomly seeded
hash map: two trainings on one text give different scores (up to 0.016 nats seen). Here candidates
are the pieces of a BPE twice as large, and pieces are re-estimated by hard expectation
maximisation (Viterbi counts are integers, so no order of summation matters) and pruned to size;
the model is Kudo's (arXiv 1804.10959) and so is the schedule of pruning by a quarter a round.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, models

PRUNE_SHARE = 0.75
"""Pieces kept in a round of pruning (arXiv 1804.10959 keeps 0.8, SentencePiece's code 0.75)."""
EM_ROUNDS = 2
"""Re-estimations between two prunings (SentencePiece: num_sub_iterations = 2)."""


def train_unigram(
    texts: Iterable[str],
    candidates: Tokenizer,
    vocabulary: int,
    keep: Sequence[str],
    special: Sequence[str],
) -> models.Unigram:
    """Estimate a unigram model of at most ``vocabulary`` pieces.

    Args:
        candidates: trained tokenizer whose pieces are the candidates and whose pre-tokenizer cuts
            the words.
        keep: pieces that are never pruned (the byte alphabet).
        special: tokens that take the first ids and are never counted.
    """
    words = _count_words(texts, candidates)
    pieces = sorted(set(candidates.get_vocab()) - set(special))
    required = set(keep)
    counts = _viterbi_counts(words, candidates, pieces)
    while True:
        for _ in range(EM_ROUNDS):
            counts = _viterbi_counts(words, Tokenizer(_model(pieces, counts, ())), pieces)
        size = vocabulary - len(special)
        if len(pieces) <= size:
            return _model(pieces, counts, special)
        target = max(size, int(len(pieces) * PRUNE_SHARE))
        # The characters a piece saves are its worth; ties by the piece itself.
        worth = {p: c * (len(p) - 1) for p, c in zip(pieces, counts, strict=True)}
        ranked = sorted(pieces, key=lambda p: (p not in required, -worth[p], p))
        kept = set(ranked[:target])
        counts = np.array([c for p, c in zip(pieces, counts, strict=True) if p in kept])
        pieces = [p for p in pieces if p in kept]


def _count_words(texts: Iterable[str], tokenizer: Tokenizer) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
    return dict(sorted(counter.items()))


def _viterbi_counts(words: dict[str, int], tokenizer: Tokenizer, pieces: list[str]) -> np.ndarray:
    """(pieces,) how often each piece is used when every word is cut its best way."""
    # The words are in the byte alphabet already: no pre-tokenizer may touch them again.
    bare = Tokenizer(tokenizer.model)
    index = {piece: i for i, piece in enumerate(pieces)}
    to_piece = np.full(bare.get_vocab_size(), -1, dtype=np.int64)
    for piece, token in bare.get_vocab().items():
        to_piece[token] = index.get(piece, -1)
    totals = np.zeros(len(pieces), dtype=np.int64)
    names, frequencies = list(words), np.fromiter(words.values(), np.int64)
    for first in range(0, len(names), 50_000):
        encoded = bare.encode_batch_fast(names[first : first + 50_000])
        lengths = [len(e.ids) for e in encoded]
        ids = np.fromiter((i for e in encoded for i in e.ids), np.int64, sum(lengths))
        weights = np.repeat(frequencies[first : first + 50_000], lengths)
        np.add.at(totals, to_piece[ids], weights)
    return totals


def _model(pieces: list[str], counts: np.ndarray, special: Sequence[str]) -> models.Unigram:
    # Add-half smoothing keeps a piece that was not used (a rare byte) possible.
    total = float(counts.sum()) + 0.5 * len(pieces)
    scored = [(p, math.log((int(c) + 0.5) / total)) for p, c in zip(pieces, counts, strict=True)]
    scored.sort(key=lambda item: (-item[1], item[0]))
    return models.Unigram([(token, 0.0) for token in special] + scored)
