"""Compressed bytes that depend on their input alone."""

from __future__ import annotations

import zlib

_GZIP_WINDOW = 31


def gzip_member(data: bytes, *, stored: bool = False) -> bytes:
    """One gzip member without time or name.

    Args:
        stored: do not compress, so that a member cut at a byte holds the same text whatever zlib
            made it.
    """
    compressor = zlib.compressobj(0 if stored else 9, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(data) + compressor.flush()
