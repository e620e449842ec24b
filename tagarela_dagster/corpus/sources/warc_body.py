"""The body of a web archive's record without the encodings that HTTP put around it."""

from __future__ import annotations

import zlib
from io import BytesIO

from warcio.bufferedreaders import ChunkedDataReader

from tagarela_dagster.corpus.sources.warc_records import RawRecord


class BodyError(Exception):
    """The body cannot be had.

    Attributes:
        reason: ``content_encoding``, ``bomb`` or ``truncated``.
        quarantined: True; such a body is damaged or of no known encoding.
    """

    quarantined = True

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_body(record: RawRecord, limit: int) -> bytes:
    """The body without transfer and content encoding, at most ``limit`` bytes.

    Raises:
        BodyError: see there.
    """
    body = record.body
    if record.http.get("transfer-encoding", "").lower() == "chunked":
        body = ChunkedDataReader(BytesIO(body)).read()
    encoding = record.http.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity", "none") or body.lstrip()[:1] == b"<":
        # Some crawlers store the decoded body and keep the header.
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError("content_encoding", f"cannot decode '{encoding}'")
    for bits in (32 + zlib.MAX_WBITS, -zlib.MAX_WBITS):
        decompressor = zlib.decompressobj(bits)
        try:
            decoded = decompressor.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(decoded) > limit:
            raise BodyError("bomb", f"expands beyond {limit} bytes")
        if not decompressor.eof:
            raise BodyError("truncated", f"the {encoding} body is cut")
        return decoded
    raise BodyError("content_encoding", f"the body is no {encoding}")
