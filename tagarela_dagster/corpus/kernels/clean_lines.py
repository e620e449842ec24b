"""Line clean-up from buffers to buffers, and the scan for lines that may hold mojibake."""

from __future__ import annotations

import numpy as np

from tagarela_dagster.corpus.kernels.characters import LETTER, class_of, decode
from tagarela_dagster.corpus.kernels.compile import jit_borrowing
from tagarela_dagster.corpus.kernels.lines import (
    count_newlines,
    hash_line,
    is_new_line,
    strip,
)
from tagarela_dagster.corpus.kernels.repetition import table_size

_AFTER_SMALL = tuple(map(ord, "áâãàéêíóôõú"))
_AFTER_CAPITAL = tuple(map(ord, "ÁÂÃÀÉÊÍÓÔÕÚ"))


@jit_borrowing
def _is_suspect(before, code):
    """Whether two neighbouring characters may be mojibake, the second looked at alone as well.

    ftfy's own test (``badness.BADNESS_RE``) needs a C1 control, an œ, an Ã or Â before a space, or
    two characters beyond ASCII side by side, which in Portuguese are all but always "çã" and "çõ".
    """
    if code < 128:
        return code == 32 and (before == 0xC3 or before == 0xC2)
    if code < 0xA0 or code == 0x152 or code == 0x153:
        return True
    if before < 128:
        return False
    if before == 0xE7:
        return code not in _AFTER_SMALL
    if before == 0xC7:
        return code not in _AFTER_CAPITAL
    return True


@jit_borrowing
def suspect_lines(data, offsets, found):
    """Lines that ftfy may want to repair.

    Args:
        found: (room, 3) int64, gets row, start and end of each line.

    Returns:
        How many there are, whatever the room.
    """
    count = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        line, before, suspect = at, 0, False
        while at <= end:
            if at == end or data[at] == 10:
                if suspect:
                    if count < len(found):
                        found[count, 0], found[count, 1], found[count, 2] = row, line, at
                    count += 1
                line, before, suspect = at + 1, 0, False
                at += 1
                continue
            if data[at] < 128:
                suspect = suspect or (before >= 128 and _is_suspect(before, np.int64(data[at])))
                # Nothing in a run of ASCII is suspect.
                while at < end and data[at] < 128 and data[at] != 10:
                    at += 1
                before = np.int64(data[at - 1])
                continue
            code, size = decode(data, at, end)
            suspect = suspect or _is_suspect(before, code)
            before = code
            at += size
    return count


@jit_borrowing
def most_lines(data, offsets):
    """Lines of the text that has the most."""
    most = 0
    for row in range(len(offsets) - 1):
        most = max(most, count_newlines(data, offsets[row], offsets[row + 1]))
    return most + 1


@jit_borrowing
def has_letters(data, at, end, wanted, classes):
    """Whether ``data[at:end]`` has as many letters as wanted."""
    while at < end and wanted > 0:
        code, size = decode(data, at, end)
        wanted -= class_of(code, classes) & LETTER != 0
        at += size
    return wanted <= 0


@jit_borrowing
def clean_rows(
    data, offsets, min_letters, drop_copies, classes, slots, places, out, out_offsets, removed
):
    """Write texts without lines of few letters and without later copies of a line.

    Args:
        slots: (table_size(most_lines + 1),) uint64; places: (most_lines, 2) int64: scratch.
        out: as many bytes as the texts. out_offsets: (rows + 1,). removed: (rows,) lines.
    """
    filled = 0
    out_offsets[0] = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        own = slots[: table_size(count_newlines(data, at, end) + 2)]
        own[:] = 0
        mask = np.uint64(len(own) - 1)
        lines = gone = 0
        joined, last_blank, started = False, True, False
        while at <= end:
            line = at
            while at < end and data[at] != 10:
                at += 1
            key_start, key_end = strip(data, line, at, classes)
            blank = key_start == key_end
            if blank:
                # A blank line right after a removed one would lengthen the run before it.
                keep = not (joined and last_blank)
            else:
                keep = has_letters(data, key_start, key_end, min_letters, classes)
                if keep and drop_copies:
                    hashed = hash_line(data, key_start, key_end)
                    keep = is_new_line(data, key_start, key_end, hashed, own, mask, places, lines)
                    lines += keep
                gone += not keep
                joined = not keep
            if keep:
                if started:
                    out[filled] = 10
                    filled += 1
                started = True
                for k in range(at - line):
                    out[filled + k] = data[line + k]
                filled += at - line
                last_blank = blank
            at += 1
        removed[row] = gone
        out_offsets[row + 1] = filled
