"""Web archives among other files: handed to the reader of WARC and ARC."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.formats.part import Part
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc import read_warc


def read(part: Part) -> Iterator[Document | Rejected]:
    """Documents of a web archive.

    Records are found by byte offset, so a member of a tar or zip archive is first written to a
    temporary file, expanded; a damaged member raises ``CompressedError`` after what was whole.
    """
    source = part.source.model_copy(update={"options": part.options.warc})
    if part.file is not None:
        yield from read_warc(part.file, source)
        return
    with tempfile.TemporaryDirectory(prefix="tagarela-") as folder:
        path = Path(folder) / "member.warc"
        with path.open("wb") as out:
            shutil.copyfileobj(part.stream, out)
        yield from read_warc(RawFile(path, part.name, path.stat().st_size), source)
