"""Records of web archive files: WARC/1.0 (ISO 28500) and ARC version 1 (Internet Archive)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

SOFTWARE = "Heritrix/3.4.0 http://crawler.archive.org"


@dataclass(frozen=True)
class Capture:
    """One exchange with a server; ``timestamp`` has 14 digits (UTC)."""

    url: str
    timestamp: str
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def http(self) -> bytes:
        """Head and body as the server sent them."""
        head = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body

    @property
    def media_type(self) -> str:
        """Content type without parameters."""
        return dict(self.headers).get("Content-Type", "no-type").partition(";")[0]


def warc_record(
    kind: str, record_id: str, timestamp: str, content_type: str, block: bytes, url: str = ""
) -> bytes:
    """One WARC record; ``timestamp`` has 14 digits."""
    t = timestamp
    date = f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:]}Z"
    head = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        *([f"WARC-Target-URI: {url}"] if url else []),
        f"WARC-Date: {date}",
        *([f"WARC-Payload-Digest: {digest(block)}"] if kind == "response" else []),
        f"WARC-Record-ID: <urn:uuid:{record_id}>",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + block + b"\r\n\r\n"


def digest(block: bytes) -> str:
    """SHA-1 of the HTTP body, in base 32."""
    body = block.partition(b"\r\n\r\n")[2]
    return "sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode()


def warcinfo(record_id: str, timestamp: str, file: str, collection: str) -> bytes:
    """First record of a WARC file."""
    fields = {
        "software": SOFTWARE,
        "format": "WARC File Format 1.0",
        "isPartOf": collection,
        "description": f"bundled sample, {file}",
    }
    block = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    return warc_record("warcinfo", record_id, timestamp, "application/warc-fields", block)


def arc_header(file: str, timestamp: str) -> bytes:
    """First record of an ARC file."""
    block = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
    head = f"filedesc://{file} 0.0.0.0 {timestamp} text/plain {len(block)}\n"
    return head.encode() + block + b"\n"


def arc_record(capture: Capture, address: str) -> bytes:
    """One ARC record; ``address`` is the server's IP."""
    block = capture.http
    head = f"{capture.url} {address} {capture.timestamp} {capture.media_type} {len(block)}\n"
    return head.encode() + block + b"\n"
