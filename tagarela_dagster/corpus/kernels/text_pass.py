"""One pass over a document's bytes for its lines and sentences.

Characters, words and the like are counted without a branch, which a processor would mistake; only
at the few bytes that end lines and sentences, and beyond ASCII, is anything decided.
"""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels import c4, lines
from tagarela_dagster.corpus.kernels.characters import BREAK, UPPER, WORD, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.lines import end_line, end_lines, end_split_line, skip_spaces
from tagarela_dagster.corpus.kernels.lines import strip as strip_line
from tagarela_dagster.corpus.kernels.madlad import TECHNICAL, end_sentence

CHARACTERS, NEWLINES, HASHES, ELLIPSES = (
    lines.CHARACTERS, lines.NEWLINES, lines.HASHES, lines.ELLIPSES
)  # fmt: skip

_IN_WORD, _EVENT = 1, 2
_FLAGS = np.array(
    [
        _IN_WORD * (chr(byte).isalnum() or byte == 95)
        | _EVENT * (chr(byte) in "\n\r\v\f\x1c\x1d\x1e.!?#")
        for byte in range(128)
    ],
    np.int64,
)
"""Of each ASCII byte: whether it is of a word (``\\w``), and whether it must be looked at."""
_TEXTS = np.array(
    [
        1 + ((_FLAGS[byte] & _IN_WORD and not before) << 32)
        for before in (False, True)
        for byte in range(128)
    ],
    np.int64,
)
"""Of a byte, + 128 behind one of a word: a character, and << 32 whether a word begins."""
_SIGNS = np.array(
    [
        (byte in TECHNICAL) + ((chr(byte).isupper() and not before) << 32)
        for before in (False, True)
        for byte in range(128)
    ],
    np.int64,
)
"""Likewise a technical character, and << 32 whether a word begins with a capital."""


@jit_borrowing
def _is_mark(byte):
    return byte == 46 or byte == 33 or byte == 63


@jit_borrowing
def pass_text(
    data, start, end, classes, slots, places, base, starts, flags, counts, c4_counts, sentences
):
    """Count LINE_COUNTS, C4's LINE_RULES, sentences and questionable ones of a text.

    Args:
        slots: (power of 2, more than lines) uint64 of zeros; places: (lines, 2) int64: scratch.
        base: place from which ``starts`` of the words are counted. flags: of each word.
        counts, c4_counts, sentences: int64, overwritten.
    """
    counts[:] = 0
    c4_counts[:] = 0
    sentences[:] = 0
    phrases = c4.may_have_phrases(data, start, end)
    # Characters | words << 32, technical characters | capitals << 32; as they were where the line
    # and the sentence began.
    texts = signs = line_texts = own_texts = own_signs = 0
    line = split = sentence = at = start
    word = inside = 0
    while at < end:
        byte = np.int64(data[at])
        is_break, after = False, at + 1
        if byte < 128:
            place = byte | (inside << 7)
            texts += _TEXTS[place]
            signs += _SIGNS[place]
            inside = _FLAGS[byte]
            if inside < _EVENT:
                at += 1
                continue
            inside = 0
            if byte == 10:
                counts[NEWLINES] += 1
                if at > line:
                    own = (texts - 1 - line_texts) & 0xFFFFFFFF
                    end_line(data, line, at, own, classes, slots, places, counts)
                line, line_texts, is_break = at + 1, texts, True
            elif byte == 35:
                counts[HASHES] += 1
            elif not _is_mark(byte):
                is_break = byte != 13 or after == end or data[after] != 10
            else:
                dots = byte == 46
                while after < end and _is_mark(data[after]):
                    dots = dots + 1 if data[after] == 46 else 0
                    if dots == 3:
                        counts[ELLIPSES] += 1
                        dots = 0
                    after += 1
                if after < end:
                    following, skipped = skip_spaces(data, after, end, classes)
                    if skipped:
                        end_sentence(
                            data, sentence, at, False, texts - 1 - own_texts, signs - own_signs,
                            classes, sentences,
                        )  # fmt: skip
                        sentence, own_signs = following, signs
                        own_texts = texts + after - at - 1 + skipped
                texts += after - at - 1
        else:
            code, size = decode(data, at, end)
            bits = class_of(code, classes)
            begins = np.int64(bits & WORD != 0) & (1 - inside)
            inside = np.int64(bits & WORD != 0)
            texts += 1 + (begins << 32)
            signs += (begins & np.int64(bits & UPPER != 0)) << 32
            counts[ELLIPSES] += code == 0x2026
            is_break, after = bits & BREAK != 0, at + size
        if is_break:
            first, last = strip_line(data, split, at, classes)
            end_split_line(data, split, first, last, counts)
            word = c4.count_line(
                data, first, last, base, starts, flags, word, phrases, classes, c4_counts
            )
            split = after
        at = after
    if line < end:
        own = (texts - line_texts) & 0xFFFFFFFF
        end_line(data, line, end, own, classes, slots, places, counts)
    if split < end:
        first, last = strip_line(data, split, end, classes)
        end_split_line(data, split, first, last, counts)
        c4.count_line(data, first, last, base, starts, flags, word, phrases, classes, c4_counts)
    end_sentence(
        data, sentence, end, True, texts - own_texts, signs - own_signs, classes, sentences
    )
    end_lines(data, start, end, counts)
    counts[CHARACTERS] = texts & 0xFFFFFFFF
