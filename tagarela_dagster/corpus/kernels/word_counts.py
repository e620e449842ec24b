"""Words and characters of texts, counted on their UTF-8 bytes: the denominators of fertility."""

from __future__ import annotations

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit_borrowing


@jit_borrowing
def space_width(data: Bytes, at: int, end: int) -> int:
    """Bytes of the white space at ``at``, 0 when there is none: what ``str.isspace`` says."""
    byte = data[at]
    if byte < 0x80:
        return int(byte == 0x20 or 0x09 <= byte <= 0x0D or 0x1C <= byte <= 0x1F)
    if byte == 0xC2 and at + 1 < end:
        return 2 if data[at + 1] == 0x85 or data[at + 1] == 0xA0 else 0
    if byte < 0xE1 or byte > 0xE3 or at + 2 >= end:
        return 0
    second, third = data[at + 1], data[at + 2]
    if byte == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if byte == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x81:
        return 3 if third == 0x9F else 0
    if second != 0x80:
        return 0
    return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0


@jit_borrowing
def word_counts(data: Bytes, offsets: Offsets, words: Offsets, characters: Offsets) -> None:
    """Fill ``words`` (as ``len(text.split())``) and ``characters`` of each text, (rows,) int64."""
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        # A character is counted by its first byte, a word by the white space before it.
        length, found, outside = 0, 0, 1
        for at in range(start, end):
            byte = data[at]
            length += (byte & 0xC0) != 0x80
            if byte > 0x20 and byte != 0xC2 and (byte < 0xE1 or byte > 0xE3):
                # The last bytes of wide white space are no first byte of a character.
                if byte < 0x80 or byte >= 0xC0:
                    found += outside
                    outside = 0
            elif space_width(data, at, end):
                outside = 1
            else:
                found += outside
                outside = 0
        words[row] = found
        characters[row] = length
