"""A crawl to measure extraction on: real pages, and the same pages rewritten in other languages.

Real Portuguese pages come from the WARC files of the mirror. Pages in other languages keep the
structure of a real page (its tags, classes, scripts and lengths of text) while every text in it is
replaced by running text of the language: English from the mirror's instruction sets, others from
the translated messages of the programs installed on this machine (``*.mo`` catalogues), of which
those that read like sentences are taken. Nothing of it is shipped.
"""

from __future__ import annotations

import gettext
import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import lxml.html
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records

CATALOGUES = Path("/usr/share/locale")
LANGUAGES = ("en", "es", "fr", "de", "it", "gl", "ca", "nl", "pl", "ro", "ru", "ja")
MIN_WORDS = 4_000
"""Languages with less text than this are not used."""
_SENTENCE = re.compile(r"[A-ZÀ-ÝА-Я\u3040-\u9fff][^%{}<>$_\\|=/]{50,400}[.。]", re.S)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the crawl."""

    url: str
    html: bytes
    language: str
    file: str


def real_pages(folder: Path) -> Iterator[Page]:
    """Every response in the mirror's WARC files."""
    for path in sorted((folder / "corpus" / "web").glob("*.warc.gz")):
        for record in read_records(path, 10_000_000):
            if isinstance(record, RawRecord) and record.kind == "response":
                yield Page(record.headers["warc-target-uri"], record.body, "pt", path.name)


def texts(folder: Path) -> dict[str, str]:
    """Running text by language, of those that this machine has enough of."""
    found = {"en": " ".join(_english(folder / "instruct"))}
    for language in LANGUAGES[1:]:
        found[language] = " ".join(_messages(language))
    return {
        name: text
        for name, text in found.items()
        if len(text.split()) >= MIN_WORDS or (name == "ja" and len(text) > MIN_WORDS)
    }


def _english(folder: Path) -> Iterator[str]:
    with gzip.open(folder / "hh-rlhf-harmless-test.jsonl.gz", "rt") as file:
        for line in islice(file, 1500):
            yield re.sub(r"\n\n(?:Human|Assistant):", " ", json.loads(line)["chosen"]).strip()


def _messages(language: str) -> Iterator[str]:
    for path in sorted((CATALOGUES / language / "LC_MESSAGES").glob("*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        for key, message in catalogue._catalog.items():  # type: ignore[attr-defined]
            if key and isinstance(message, str) and message != key:
                yield from (" ".join(part.split()) for part in _SENTENCE.findall(message))


def rewritten(page: Page, language: str, text: str, seed: int, declared: bool) -> Page:
    """``page`` with all its text in another language, each piece as long as what it replaces."""
    tree = lxml.html.document_fromstring(page.html, parser=lxml.html.HTMLParser(encoding="utf-8"))
    words = text.split()
    position = random.Random(seed).randrange(max(1, len(words) - 1000))

    def take(old: str) -> str:
        nonlocal position
        count = len(old.split())
        piece = words[position : position + count]
        position = (position + count) % max(1, len(words) - count)
        return f" {' '.join(piece)} "

    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        if element.tag not in ("script", "style") and element.text and element.text.strip():
            element.text = take(element.text)
        if element.tail and element.tail.strip():
            element.tail = take(element.tail)
        for attribute in (
            "alt",
            "title",
            "content",
            "lang",
            "{http://www.w3.org/XML/1998/namespace}lang",
        ):
            if attribute in element.attrib:
                del element.attrib[attribute]
    if declared:
        tree.set("lang", language)
    html = lxml.html.tostring(tree, encoding="utf-8", doctype="<!DOCTYPE html>")
    return Page(page.url.replace("://", f"://{language}{seed}."), html, language, page.file)


def mixed(folder: Path, portuguese: int, seed: int = 0, include: Sequence[Page] = ()) -> list[Page]:
    """A crawl of which a third is Portuguese, shuffled.

    Args:
        portuguese: how many real pages; twice as many rewritten ones are added, the languages in
            turn, half of them with a ``lang`` attribute.
        include: real pages that must be among them.
        include: real pages that must be among them.
    """
    rng = random.Random(seed)
    urls = {page.url for page in include}
    pages = [page for page in real_pages(folder) if page.url not in urls]
    count = min(portuguese - len(include), len(pages))
    chosen = [*include, *rng.sample(pages, count)]
    sources = texts(folder)
    names = sorted(sources)
    others = [
        rewritten(
            chosen[number % len(chosen)],
            names[number % len(names)],
            sources[names[number % len(names)]],
            number,
            number % 2 == 0,
        )
        for number in range(2 * len(chosen))
    ]
    crawl = [*chosen, *others]
    rng.shuffle(crawl)
    return crawl


def write_warc(path: Path, pages: Sequence[Page]) -> None:
    """Write the pages as a crawler does, a gzip member each."""
    head = [("Content-Type", "text/html; charset=utf-8")]
    http = StatusAndHeaders("200 OK", head, protocol="HTTP/1.1")
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page in pages:
            record = writer.create_warc_record(
                page.url,
                "response",
                payload=BytesIO(page.html),
                http_headers=http,
                warc_headers_dict={"WARC-Date": "2021-05-20T12:00:00Z"},
            )
            writer.write_record(record)
