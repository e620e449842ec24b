"""Stretches of text that may hold personal data, found on bytes before any pattern is tried.

A stretch is all that the patterns of ``filtering/pii_forms.py`` can see around a place where one
of its NEAR patterns may match; patterns give the same results on the stretches as on whole texts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit_borrowing

MAIL, IBAN, COMPANY, DIGITS, IP = 1, 2, 4, 8, 16
"""What to look for, as bits: @; country and digits of an IBAN; a CNPJ's tail; runs of digits;
dotted digits and IPv6."""

BEFORE, AFTER, AFTER_MAIL = 81, 81, 401
"""Characters of context: what pii_forms.NEAR allows and one more for look-around."""

SEPARATORS = 3
"""Signs (space . - / ( )) that may stand between two digits of one run."""

_KIND = np.zeros(256, np.uint8)
_KIND[ord("0") : ord("9") + 1] = 1
_KIND[ord("A") : ord("Z") + 1] = 2
_KIND[ord("a") : ord("z") + 1] = 3
for _sign in " .-/()":
    _KIND[ord(_sign)] = 4
_KIND[ord("@")] = 5
_KIND[ord(":")] = 6


def stretches(data: Bytes, offsets: Offsets, wanted: int, digits: int) -> NDArray[np.int64]:
    """(3, stretches) row, first byte and end of each stretch, in order; none touch.

    Args:
        wanted: bits of what to look for.
        digits: digits that make a run worth a look.
    """
    room = 1024 + len(data) // 1024
    while True:
        found = np.empty((3, room), np.int64)
        count = _stretches(data, offsets, _KIND, wanted, digits, found)
        if count <= room:
            return found[:, :count]
        room = count


@jit_borrowing
def _is_hex(byte):
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@jit_borrowing
def _is_code(byte):
    return 48 <= byte <= 57 or 65 <= byte <= 90


@jit_borrowing
def _forward(data, i, end, characters):
    while i < end and characters:
        i += 1
        if i >= end or data[i] & 0xC0 != 0x80:
            characters -= 1
    return i


@jit_borrowing
def _stretches(data, offsets, kinds, wanted, digits, found):
    count = 0
    room = found.shape[1]
    for row in range(len(offsets) - 1):
        low, end = offsets[row], offsets[row + 1]
        # The stretch at hand; none when reach < 0.
        begin, reach = low, np.int64(-1)
        run_end, code = low, 0
        i = low
        while i < end:
            byte = data[i]
            kind = kinds[byte]
            hit = np.int64(-1)
            after = AFTER
            # A space counts only inside a run of digits, which is looked at from its first digit.
            if kind == 0 or kind == 3 or byte == 32:
                code = 0
                i += 1
                continue
            # An alphanumeric CNPJ: twelve digits or capitals, perhaps a hyphen, two digits.
            if code >= 12 and wanted & COMPANY:
                at = i + 1 if byte == 45 else i
                if at + 1 < end and kinds[data[at]] == 1 and kinds[data[at + 1]] == 1:
                    hit = at + 2
                    start = i - code
            code = code + 1 if kind <= 2 else 0
            if kind == 1 and i >= run_end and wanted & (DIGITS | IP):
                seen, dots, gap = 1, 0, 0
                k = i + 1
                run_end = k
                while k < end:
                    if kinds[data[k]] == 1:
                        seen += 1
                        gap = 0
                        run_end = k + 1
                    elif kinds[data[k]] == 4 and gap < SEPARATORS:
                        gap += 1
                        dots += data[k] == 46
                    else:
                        break
                    k += 1
                if (seen >= digits and wanted & DIGITS) or (dots >= 3 and wanted & IP):
                    hit, start = run_end, i
            elif kind == 2 and wanted & IBAN:
                at = i + 5 if i + 5 < end and data[i + 4] == 32 else i + 4
                country = at < end and kinds[data[i + 1]] == 2
                checked = country and kinds[data[i + 2]] == 1 and kinds[data[i + 3]] == 1
                if checked and _is_code(data[at]):
                    hit, start = at + 1, i
            elif byte == 47 and wanted & COMPANY:
                tail = i + 7 < end and data[i + 5] == 45
                tail = tail and kinds[data[i + 6]] == 1 and kinds[data[i + 7]] == 1
                for k in range(1, 5):
                    tail = tail and _is_code(data[i + k])
                if tail:
                    hit, start = i + 8, i
            elif kind == 5 and wanted & MAIL:
                following = data[i + 1] if i + 1 < end else np.uint8(0)
                if following >= 0x80 or 0 < kinds[following] <= 3:
                    hit, start, after = i + 2, i, AFTER_MAIL
            elif kind == 6 and wanted & IP and i - 4 >= low and i + 1 < end:
                address = data[i - 4] == 50 or data[i - 4] == 51
                for k in range(i - 3, i):
                    address = address and _is_hex(data[k])
                if address and (_is_hex(data[i + 1]) or data[i + 1] == 58):
                    hit, start = i + 2, i - 4
            if hit >= 0:
                if after == AFTER_MAIL:
                    # At most four bytes a character; counting them would make "@a@a" slow.
                    far = min(end, hit + 4 * AFTER_MAIL)
                    while far < end and data[far] & 0xC0 == 0x80:
                        far += 1
                else:
                    far = _forward(data, min(hit, end), end, after)
                back = start
                room_before = BEFORE
                while back > low and back > reach and room_before:
                    back -= 1
                    if data[back] & 0xC0 != 0x80:
                        room_before -= 1
                if reach >= back:
                    reach = max(reach, far)
                else:
                    if reach >= 0:
                        if count < room:
                            found[0, count], found[1, count], found[2, count] = row, begin, reach
                        count += 1
                    begin, reach = back, far
            i += 1
        if reach >= 0:
            if count < room:
                found[0, count], found[1, count], found[2, count] = row, begin, reach
            count += 1
    return count
