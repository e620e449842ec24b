"""Linear models over hashed n-grams: scores and training, from UTF-8 bytes to numbers.

Features of a text, hashed into ``2**bits`` buckets (as fastText, arXiv 1607.01759, section 2):
each word, each pair of neighbouring words, and the character n-grams of each word between
boundaries (``<casa>``). A text's feature counts are divided by the square root of their number.
Class 0 is the reference: a model of K classes has K - 1 columns of weights.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.ngram_words import (
    END,
    FNV_OFFSET,
    FNV_PRIME,
    LINE,
    MARK,
    MAX_WORD_BYTES,
    WORD,
    mix,
    next_token,
    word_hash,
)

NAME = np.uint64(0x9E3779B97F4A7C15)
"""Stands for a masked name."""
_PAIR = np.uint64(0x9FB21C651E98DF25)
WINDOWS = 3
"""Stretches of a long text that are looked at: start, middle and end."""
MAX_FEATURES_PER_BYTE = 10
"""Eight lengths of character n-grams at most, a word and a pair."""
SLACK = (MAX_WORD_BYTES + 4) * MAX_FEATURES_PER_BYTE
"""Room that one more word may need."""


@jit
def features(data, start, end, options, word, out):
    """Buckets of a text's features go to ``out``; returns how many.

    Args:
        options: (bits, words in a word n-gram: 1 or 2, least and most characters of a character
            n-gram, 1 to mask names, most bytes looked at or 0 for all).
        word: room for a word.
        out: (n,) int32; what does not fit is left out.
    """
    limit = options[5]
    if limit <= 0 or end - start <= limit:
        return _stretch(data, start, end, options, word, out, 0)
    found, width = 0, limit // WINDOWS
    for window in range(WINDOWS):
        left = start + (end - start - width) * window // (WINDOWS - 1)
        # From the next space, so that no word is taken in part.
        for _ in range(MAX_WORD_BYTES):
            if window == 0 or left >= end or data[left] <= 32:
                break
            left += 1
        found = _stretch(data, left, min(left + width, end), options, word, out, found)
    return found


@jit
def _stretch(data, position, end, options, word, out, found):
    shift = np.uint64(64 - options[0])
    pairs, low, high, masks = options[1] > 1, options[2], options[3], options[4] > 0
    room = len(out) - SLACK
    before = np.uint64(0)
    begins = True
    while found < room:
        position, length, kind, capitals = next_token(data, position, end, word)
        if kind == END:
            break
        if kind in (LINE, MARK):
            # Behind . : ! ? and at a line's beginning a capital says nothing.
            begins = begins or kind == LINE or word[0] in (33, 46, 58, 63)
            if not (kind == MARK and word[0] in (34, 39, 40, 44)):
                before = np.uint64(0)
            continue
        if masks and kind == WORD and (capitals > 1 or (capitals and not begins)):
            value = NAME
        else:
            value = word_hash(word, length, kind)
            if kind == WORD and high > 0:
                found = _characters(word, length, low, high, shift, out, found)
        begins = False
        out[found] = np.int32(mix(value) >> shift)
        found += 1
        if pairs and before:
            out[found] = np.int32(mix(value * _PAIR + before) >> shift)
            found += 1
        before = value
    return found


@jit
def _characters(word, length, low, high, shift, out, found):
    """Character n-grams of ``<word>``; a hash grows byte by byte from each beginning."""
    for begin in range(-1, length):
        if begin >= 0 and (word[begin] & 0xC0) == 0x80:
            continue
        value, characters, i = FNV_OFFSET, 0, begin
        while i <= length and characters < high:
            if i == -1:
                value = (value ^ np.uint64(60)) * FNV_PRIME
            elif i == length:
                value = (value ^ np.uint64(62)) * FNV_PRIME
            else:
                value = (value ^ np.uint64(word[i])) * FNV_PRIME
            i += 1
            if i < length and i > 0 and (word[i] & 0xC0) == 0x80:
                continue
            characters += 1
            if characters >= low:
                out[found] = np.int32(mix(value) >> shift)
                found += 1
    return found


@jit
def score(data, offsets, weights, bias, options, capacity):
    """Logits of texts: (rows, columns) float64, NaN for a text without any feature.

    Args:
        weights: (2**bits, columns) float32.
        bias: (columns,) float64.
        capacity: features that a text may have, at most.
    """
    rows, columns = len(offsets) - 1, weights.shape[1]
    word, out = new_word_buffer(), np.empty(capacity, np.int32)
    logits = np.empty((rows, columns), np.float64)
    for row in range(rows):
        found = features(data, offsets[row], offsets[row + 1], options, word, out)
        _logits(weights, bias, out, found, logits[row])
        if found == 0:
            logits[row, :] = np.nan
    return logits


@jit
def _logits(weights, bias, buckets, found, logits):
    scale = 1.0 / np.sqrt(found) if found else 0.0
    for column in range(weights.shape[1]):
        total = 0.0
        for i in range(found):
            total += weights[buckets[i], column]
        logits[column] = bias[column] + total * scale


@jit
def train_epoch(
    data, offsets, labels, importance, order, weights, bias, squares, sums, step, rate, options,
    capacity,
):  # fmt: skip
    """One pass of AdaGrad over texts in ``order``: weights, squares and sums change in place.

    Logistic regression (softmax with class 0 as reference). ``sums`` collects step x change, from
    which the average of the weights over all steps is ``weights - sums / steps``.

    Args:
        labels, importance: (rows,) class and weight of each text.
        weights, squares, sums: (2**bits, columns) float32, float32, float64.
        bias: (3, columns) float64: bias, its squares, its sums.
        step: steps done before.

    Returns:
        Steps done.
    """
    columns = weights.shape[1]
    word, buckets = new_word_buffer(), np.empty(capacity, np.int32)
    logits = np.empty(columns, np.float64)
    for row in order:
        found = features(data, offsets[row], offsets[row + 1], options, word, buckets)
        if found == 0:
            continue
        _logits(weights, bias[0], buckets, found, logits)
        scale = 1.0 / np.sqrt(found)
        most = max(0.0, logits.max())
        whole = np.exp(-most)
        for column in range(columns):
            whole += np.exp(logits[column] - most)
        for column in range(columns):
            share = np.exp(logits[column] - most) / whole
            error = (share - (labels[row] == column + 1)) * importance[row]
            bias[1, column] += error * error
            change = -rate * error / (np.sqrt(bias[1, column]) + 1e-8)
            bias[0, column] += change
            bias[2, column] += step * change
            gradient = error * scale
            for i in range(found):
                bucket = buckets[i]
                squares[bucket, column] += gradient * gradient
                change = -rate * gradient / (np.sqrt(squares[bucket, column]) + 1e-8)
                weights[bucket, column] += change
                sums[bucket, column] += step * change
        step += 1
    return step


@jit
def count_presence(data, offsets, rows, options, capacity, counts, seen):
    """Add 1 to ``counts`` for each feature that a text has, texts of ``rows`` only.

    Args:
        counts: (2**bits,) int32.
        seen: (2**bits,) int32, zeros: the last text that had the feature.

    Returns:
        Texts with any feature.
    """
    word, out = new_word_buffer(), np.empty(capacity, np.int32)
    texts = 0
    for i in range(len(rows)):
        row = rows[i]
        found = features(data, offsets[row], offsets[row + 1], options, word, out)
        texts += found > 0
        for j in range(found):
            if seen[out[j]] != i + 1:
                seen[out[j]] = i + 1
                counts[out[j]] += 1
    return texts


@jit
def new_word_buffer():
    """Room for a word, inside a kernel."""
    return np.zeros(MAX_WORD_BYTES + 8, np.uint8)
