"""OpenSubtitles as OPUS packs it: zips of one XML file an upload, raw and tokenised (xml).

Members are ``OpenSubtitles/{raw|xml}/<language>/<year>/<imdb>/<id>.xml`` (also ``.xml.gz``), in a
zip, a tar or a folder; the language in the path (``pt``, ``pt_br``, ``pt_BR``) gives the variety.
A film is (language, year, imdb); its uploads are versions of one text, so by default one is kept:
the highest rating, then the most sentences, then the lowest upload id. 4294967295 stands for a
missing IMDb number: such uploads are films of their own.

In a zip or a folder all uploads of a film are compared; in a tar, which streams, only those that
stand together, as OPUS writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import (
    Entry,
    entries,
    open_zip,
    rejected,
    zip_entry,
    zip_members,
)
from tagarela_dagster.corpus.sources.damage import CompressedError
from tagarela_dagster.corpus.sources.opus_xml import Upload, read_upload
from tagarela_dagster.corpus.sources.unit import UNIT_BYTES, RawFile, Unit
from tagarela_dagster.recipe.base import Section
from tagarela_dagster.recipe.sources import Source

NO_IMDB = ("4294967295", "0")
_PATH = re.compile(
    r"(?:^|/)(?P<flavour>raw|xml)/(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?)"
    r"/(?P<year>\d{1,4}|unknown)/(?P<imdb>\d+)/(?P<upload>[^/]+?)\.xml(?:\.gz)?$"
)
VARIETIES = {"pt": "pt-PT", "pt_pt": "pt-PT", "pt_br": "pt-BR"}
"""OPUS language code in lower case -> variety; other languages are left out."""


class SubtitleOptions(Section):
    """Settings of an OpenSubtitles source."""

    one_per_film: bool = True
    """Keep one upload of each film; the others are left out as ``other_upload``."""


def plan(files: Sequence[RawFile], source: Source) -> list[Unit]:
    """Units that never cut a film: runs of a zip's members, whole tars, loose files by film."""
    zips = [file for file in files if file.name.lower().endswith(".zip")]
    tars = [file for file in files if re.search(r"\.(?:tar(?:\.\w+)?|tgz)$", file.name.lower())]
    loose = [file for file in files if file not in zips and file not in tars]
    units = [unit for file in zips for unit in _zip_units(file)]
    units += [Unit(file.name, (file,)) for file in tars]
    films = [list(group) for _, group in groupby(sorted(loose, key=_order), key=_film_of_file)]
    held: list[RawFile] = []
    for film in [*films, []]:
        if held and (not film or sum(file.bytes for file in [*held, *film]) > UNIT_BYTES):
            units.append(Unit(held[0].name, tuple(held)))
            held = []
        held += film
    return units


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Films of the unit.

    Rejections: ``malformed`` (nothing could be recovered), ``no_text``, ``encoding``,
    ``too_large``, what ``archive`` says of members; not quarantined: ``other_file``,
    ``other_language``, ``other_upload``.
    """
    options = SubtitleOptions.model_validate(source.options)
    if unit.part or (len(unit.files) == 1 and unit.files[0].name.lower().endswith(".zip")):
        found = _zip_entries(unit)
    else:
        found = (entry for file in unit.files for entry in entries(file))
    film: tuple[str, ...] | None = None
    uploads: list[Upload] = []
    for item in map(_upload, found):
        if isinstance(item, Rejected):
            yield item
            continue
        if not options.one_per_film:
            yield item.document
        elif film == item.film:
            uploads.append(item)
        else:
            yield from _best(uploads)
            film, uploads = item.film, [item]
    yield from _best(uploads)


def film_of(path: str) -> tuple[str, ...]:
    """Language, year and IMDb number of a path, with the upload where it has no such number."""
    match = _PATH.search(path)
    if not match:
        return (path,)
    film = (match["language"].lower(), match["year"], match["imdb"])
    return (*film, match["upload"]) if match["imdb"] in NO_IMDB else film


def _upload(entry: Entry | Rejected) -> Upload | Rejected:
    if isinstance(entry, Rejected):
        return entry
    match = _PATH.search(entry.path)
    if not match:
        detail = "its path is not <flavour>/<language>/<year>/<imdb>/<id>.xml"
        return Rejected(entry.name, "byte 0", "other_file", detail, 0, False)
    variety = VARIETIES.get(match["language"].lower().replace("-", "_"))
    if variety is None:
        detail = f"its language is '{match['language']}'"
        return Rejected(entry.name, "byte 0", "other_language", detail, 0, False)
    imdb = None if match["imdb"] in NO_IMDB else match["imdb"]
    upload = read_upload(entry, match["upload"], imdb)
    if isinstance(upload, Rejected):
        return upload
    document = upload.document
    document.native_id = f"{match['imdb']}/{match['upload']}"
    document.variety = variety
    document.meta |= {"flavour": match["flavour"], "upload": match["upload"]}
    document.meta |= {"imdb": imdb} if imdb else {}
    year = document.meta.get("year") or match["year"]
    document.meta |= {"year": int(year)} if str(year).isdigit() and int(year) else {}
    upload.film = film_of(entry.path)
    return upload


def _best(uploads: list[Upload]) -> Iterator[Document | Rejected]:
    if not uploads:
        return
    best = min(uploads, key=lambda u: (-u.rating, -u.sentences, _number(u.identifier)))
    for upload in uploads:
        if upload is best:
            if len(uploads) > 1:
                upload.document.meta["uploads"] = len(uploads)
            yield upload.document
        else:
            size = len(upload.document.text.encode())
            detail = f"upload {best.identifier} of the same film is kept"
            yield Rejected(upload.name, "byte 0", "other_upload", detail, size, False)


def _number(identifier: str) -> tuple[int, str]:
    digits = re.match(r"\d+", identifier)
    return (int(digits.group()) if digits else 0, identifier)


def _zip_units(file: RawFile) -> Iterator[Unit]:
    """Runs of members of some ``UNIT_BYTES``, cut where no film goes on later in the file."""
    try:
        with open_zip(file.path) as archive:
            members = [(info.header_offset, info.filename) for info in zip_members(archive)]
    except CompressedError:
        members = []
    last = {film_of(name): place for place, (_, name) in enumerate(members)}
    start, reach = 0, -1
    for place, (offset, name) in enumerate(members):
        if place and place > reach and offset - start >= UNIT_BYTES:
            yield Unit(f"{file.name}@{start}", (file,), (start, offset))
            start = offset
        reach = max(reach, last[film_of(name)])
    yield Unit(f"{file.name}@{start}" if start else file.name, (file,), (start, file.bytes))


def _zip_entries(unit: Unit) -> Iterator[Entry | Rejected]:
    """Members of the unit's part of its zip, those of a film together."""
    (file,) = unit.files
    start, stop = unit.part or (0, file.bytes)
    try:
        with open_zip(file.path) as archive:
            members = [m for m in zip_members(archive) if start <= m.header_offset < stop]
            members.sort(key=lambda member: (film_of(member.filename), member.header_offset))
            for member in members:
                yield from zip_entry(archive, member, file.name)
    except CompressedError as error:
        yield rejected(error, file.name)


def _order(file: RawFile) -> tuple[tuple[str, ...], str]:
    return film_of(file.name), file.name


def _film_of_file(file: RawFile) -> tuple[str, ...]:
    return film_of(file.name)
