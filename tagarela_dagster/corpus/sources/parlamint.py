"""ParlaMint: a parliament's sittings as TEI, one file and one document a sitting.

``body/div/u/seg`` is what was said, a paragraph a line, a blank line between speeches; notes,
headings, gestures (``kinesic``), noises (``vocal``) and gaps are left out. The file's own header
gives identifier, date, title, address and licence. The corpus root (``teiCorpus``) and the
annotated copies (``.ana.xml``) hold no text of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.archive import Entry, entries, reject_file
from tagarela_dagster.corpus.sources.labels import date_of, license_of
from tagarela_dagster.corpus.sources.markup_xml import (
    XML_NAMESPACE,
    children,
    find,
    local,
    plain,
    style,
    text_of,
)
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.corpus.sources.xml_entry import parse_entry
from tagarela_dagster.recipe.sources import Source

MAX_BYTES = 100_000_000
"""Largest file; a long sitting has some 2 MB."""
SPEECH = style(skip="note kinesic vocal incident gap desc head pb", block="seg p")

_XML = re.compile(r"\.xml(?:\.\w+)?$", re.IGNORECASE)
_ANNOTATED = re.compile(r"\.ana\.xml(?:\.\w+)?$", re.IGNORECASE)


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every sitting of the unit.

    Rejections: ``malformed`` (no TEI), ``encoding``, ``too_large``, what ``archive`` and
    ``compressed`` say of damage; not quarantined: ``corpus_root``, ``annotated_copy``,
    ``other_language``, ``other_file``, ``no_text``.
    """
    for file in unit.files:
        for entry in entries(file):
            if isinstance(entry, Rejected):
                yield entry
            elif not _XML.search(entry.path) or _ANNOTATED.search(entry.path):
                annotated = _ANNOTATED.search(entry.path)
                reason = "annotated_copy" if annotated else "other_file"
                detail = "the same text with annotation" if annotated else "not an XML file"
                yield Rejected(entry.name, "byte 0", reason, detail, 0, False)
            else:
                yield _sitting(entry)


def _sitting(entry: Entry) -> Document | Rejected:
    found = parse_entry(entry, MAX_BYTES)
    if isinstance(found, Rejected):
        return found
    payload, parsed = found
    root = parsed.root
    if local(root) == "teiCorpus":
        return reject_file(entry, payload, "corpus_root", "it includes the sittings", False)
    header, body = find(root, "teiHeader"), find(root, "text", "body")
    if local(root) != "TEI" or header is None:
        return reject_file(entry, payload, "malformed", f"its root is <{local(root)}>, not <TEI>")
    language = root.get(f"{XML_NAMESPACE}lang", "pt")
    if not language.lower().startswith("pt"):
        detail = f"its language is '{language}'"
        return reject_file(entry, payload, "other_language", detail, False)
    speeches = [] if body is None else [e for e in body.iterdescendants() if local(e) == "u"]
    texts = [text_of(speech, SPEECH) for speech in speeches]
    text = "\n\n".join(text for text in texts if text)
    if not text:
        return reject_file(entry, payload, "no_text", "nobody speaks in it", False)
    speakers = sorted({who.lstrip("#") for u in speeches if (who := u.get("who"))})
    meta: dict[str, Any] = {"speeches": len(speeches), "speakers": speakers}
    return Document(
        native_id=root.get(f"{XML_NAMESPACE}id") or entry.path.rsplit("/", 1)[-1],
        text=text,
        url=_address(header),
        date=_date(header),
        title=_title(header),
        license=_license(header),
        meta=meta | parsed.meta,
    )


def _title(header: etree._Element) -> str | None:
    """The Portuguese subtitle (which names the sitting), else the first title there is."""
    statement = find(header, "titleStmt")
    titles = [] if statement is None else list(children(statement, "title"))
    ranked = sorted(
        titles,
        key=lambda t: (t.get(f"{XML_NAMESPACE}lang", "pt") != "pt", t.get("type") != "sub"),
    )
    return next((plain(title) for title in ranked if plain(title)), None)


def _date(header: etree._Element) -> Any:
    """Day of the sitting, from the description of the source or of the setting."""
    for path in (("sourceDesc", "date"), ("settingDesc", "date")):
        found = find(header, *path)
        if found is not None and (day := date_of(found.get("when") or plain(found))):
            return day
    return None


def _address(header: etree._Element) -> str | None:
    source = find(header, "sourceDesc")
    if source is None:
        return None
    names = (e for e in source.iterdescendants() if local(e) == "idno" and e.get("type") == "URI")
    return next((plain(name) for name in names if plain(name)), None)


def _license(header: etree._Element) -> str | None:
    found = find(header, "availability", "licence")
    return None if found is None else license_of(found.get("target") or plain(found))
