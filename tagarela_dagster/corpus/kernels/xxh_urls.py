"""Keys of URLs: XXH64 of the URL without what does not tell one page from another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.buffers import Bytes, Offsets
from tagarela_dagster.corpus.kernels.compile import jit
from tagarela_dagster.corpus.kernels.xxh64 import PADDING, xxh64

_COLON, _SLASH, _HASH, _QUERY = np.uint8(0x3A), np.uint8(0x2F), np.uint8(0x23), np.uint8(0x3F)


@jit
def url_keys(data: Bytes, offsets: Offsets) -> NDArray[np.uint64]:
    """(rows,) key of each URL ``data[offsets[i]:offsets[i + 1]]``.

    Dropped before hashing: the scheme; ``www.``; the port that is the scheme's own (80 of http,
    443 of https); the fragment; slashes at the end, unless there is a query. A to Z in the host
    become lower case. Two captures of a page by different crawlers then have the same key.
    """
    rows, longest = len(offsets) - 1, 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    buffer = np.empty(longest + PADDING, np.uint8)
    out = np.empty(rows, np.uint64)
    for row in range(rows):
        size = _normalize(data, offsets[row], offsets[row + 1], buffer)
        out[row] = xxh64(buffer, 0, size)
    return out


@jit
def _normalize(data: Bytes, start: int, end: int, out: Bytes) -> int:
    """Write the URL as it is hashed to ``out``; return its bytes."""
    place = _scheme_end(data, start, end)
    port = 80 if place - start == 7 else 443 if place - start == 8 else -1  # http://, https://
    size, host_done, query, colon = 0, False, False, -1
    while place <= end:
        byte = data[place] if place < end else _HASH
        if not host_done and byte in (_SLASH, _QUERY, _HASH):
            host_done = True
            if colon >= 0 and _number(out, colon + 1, size) == port:
                size = colon
            if size > 4 and _is_www(out):
                for index in range(4, size):
                    out[index - 4] = out[index]
                size -= 4
        if byte == _HASH:
            break
        query |= byte == _QUERY
        if not host_done:
            if byte == _COLON:
                colon = size
            if 0x41 <= byte <= 0x5A:
                byte |= np.uint8(0x20)
        out[size] = byte
        size += 1
        place += 1
    while not query and size > 0 and out[size - 1] == _SLASH:
        size -= 1
    return size


@jit
def _scheme_end(data: Bytes, start: int, end: int) -> int:
    """Where the URL begins without ``scheme://``."""
    for place in range(start, end - 2):
        byte = data[place]
        if byte == _COLON:
            slashes = data[place + 1] == _SLASH and data[place + 2] == _SLASH
            return place + 3 if slashes else start
        if byte in (_SLASH, _QUERY, _HASH):
            return start
    return start


@jit
def _number(data: Bytes, start: int, end: int) -> int:
    value = 0
    for place in range(start, min(end, start + 6)):
        digit = np.int64(data[place]) - 0x30
        if digit < 0 or digit > 9:
            return -2
        value = 10 * value + digit
    return value if end > start else -2


@jit
def _is_www(data: Bytes) -> Any:
    return data[0] == 0x77 and data[1] == 0x77 and data[2] == 0x77 and data[3] == 0x2E
