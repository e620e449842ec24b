"""An XML file of a folder or archive, parsed or rejected."""

from __future__ import annotations

from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.sources.archive import Entry, reject_file, rejected
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.decoding import EncodingError
from tagarela_dagster.corpus.sources.markup_xml import Parsed, XmlError, parse_xml
from tagarela_dagster.corpus.sources.stream import read_all


def parse_entry(entry: Entry, max_bytes: int) -> tuple[bytes, Parsed] | Rejected:
    """Bytes and tree of one file of at most ``max_bytes``; damaged mark-up is recovered."""
    payload = b""
    try:
        payload = read_all(entry.stream, max_bytes)
        return payload, parse_xml(payload)
    except CompressedError as error:
        return rejected(error, entry.name)
    except EncodingError as error:
        return reject_file(entry, payload, "encoding", str(error))
    except XmlError as error:
        return reject_file(entry, payload, "malformed", str(error))
