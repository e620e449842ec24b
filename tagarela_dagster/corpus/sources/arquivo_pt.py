"""Arquivo.pt, the Portuguese web archive: ARC and WARC files of its collections.

Files are those of a collection (``**/*arc.gz``), in any folders below the snapshot. Records and
pages are read by ``warc``; its ``WarcOptions`` are this source's options. The archive's addresses
of a document are ``https://arquivo.pt/wayback/<native id>`` and
``https://arquivo.pt/noFrame/replay/<timestamp>id_/<url>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.corpus.sources.warc import read_warc
from tagarela_dagster.recipe.sources import Source

_ARCHIVE = re.compile(r"\.w?arc(?:\.open)?(?:\.gz)?$", re.IGNORECASE)


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every record of the unit's archive files; other files (a CDX index) are left out."""
    for file in unit.files:
        if _ARCHIVE.search(file.name):
            yield from read_warc(file, source)
        else:
            detail = "not an ARC or WARC file by its name"
            yield Rejected(file.name, "byte 0", "not_an_archive", detail, file.bytes, False)
