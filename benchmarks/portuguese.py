"""The Portuguese rules on real text: what they take and count by source, and how fast.

    python -m benchmarks.portuguese [--data FOLDER] [--megabytes 4] [--examples 20]

Each source gives up to so many megabytes. Personal data is looked for twice, through the byte scan
and by the patterns on whole texts, and the results are compared. Times are CPU seconds of this
process. ``--examples`` prints lines that go, for a person to judge.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import lzma
import os
import re
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, EDITS, Document
from tagarela_dagster.corpus.filtering.pii import Protect, replaced
from tagarela_dagster.corpus.filtering.work import Step, Work
from tagarela_dagster.corpus.portuguese.characters import Characters
from tagarela_dagster.corpus.portuguese.pages import Pages
from tagarela_dagster.recipe.filtering import Pii
from tagarela_dagster.recipe.portuguese import Portuguese

ARCHIVES = {
    "novels 1840-1920, pt-PT": ("literature/eltec-por-level1", ".xml"),
    "Machado de Assis, pt-BR": ("literature/machado-de-assis", ".txt"),
    "statutes, pt-PT": ("legal/legislacao-portugal-md", ".md"),
    "procurement, pt-BR": ("legal/leis-brasil-md", ".md"),
    "court decisions, pt-BR": ("legal/lener-br-raw", ".txt"),
    "election programmes, pt-PT": ("politics/programas-eleitorais-pt", ".md"),
    "articles, pt-BR": ("science/scielo-jats-pt", ".xml"),
    "MDN, pt-BR": ("tech/mdn-pt-br", ".md"),
    "OWASP, both": ("tech/owasp-top10-pt", ".md"),
    "Vue, pt-BR": ("tech/vue-docs-pt", ".md"),
    "subtitles, pt-BR": ("subtitles/subtitle-pt-br", ".srt"),
}
PAGES = {
    "speech pages, pt-BR": "web/planalto-discursos-2016",
    "book pages, pt-PT": "web/gutenberg-camilo",
    "course pages, pt-BR": "web/livro-curso-r",
}
_TAG = re.compile(r"<[^<>]+>")
_BREAK = re.compile(r"(?s)<(script|style)\b.*?</\1>")


def sources(corpus: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Every source with its texts, mark-up stripped and nothing cleaned."""
    for title, (name, ending) in ARCHIVES.items():
        yield title, _members(corpus / f"{name}.tar.xz", ending)
    for title, name in PAGES.items():
        yield title, _pages(corpus / f"{name}.warc.gz")
    yield "constituent assembly, pt-BR", _speeches(corpus / "parliament/anc-1987-11.csv.gz")
    wiki = corpus / "wikipedia/pt-wiki-lm-bkp-test.txt.xz"
    yield "Wikipedia, both", iter(lzma.decompress(wiki.read_bytes()).decode().split("\n"))


def _members(path: Path, ending: str) -> Iterator[str]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(ending) else None
            if file:
                text = file.read().decode("utf-8", "replace")
                yield _TAG.sub("", text) if ending == ".xml" else text


def _pages(path: Path) -> Iterator[str]:
    from warcio.archiveiterator import ArchiveIterator

    with path.open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                page = record.content_stream().read().decode("utf-8", "replace")
                text = _TAG.sub("\n", _BREAK.sub("", page))
                yield re.sub(r"\s*\n\s*", "\n", text)


def _speeches(path: Path) -> Iterator[str]:
    csv.field_size_limit(10**9)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.reader(file):
            yield max(row, key=len, default="")


def taken(texts: Iterator[str], megabytes: float) -> pa.RecordBatch:
    """The first texts, up to so many megabytes, as documents."""
    rows, size = [], 0.0
    for text in filter(str.strip, texts):
        rows.append(Document(str(len(rows)), text).row("benchmark", "1"))
        size += len(text.encode()) / 1e6
        if size >= megabytes:
            break
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def gone(before: pa.Array, after: pa.Array) -> Iterator[str]:
    """Lines of the first texts that the second ones lack."""
    for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True):
        yield from (Counter(old.split("\n")) - Counter(new.split("\n"))).elements()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGARELA_MIRROR"))
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--examples", type=int, default=0)
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("no text to run on: give --data or set TAGARELA_MIRROR")
    section, pii = Portuguese(), Pii()
    makers: dict[str, Callable[[], Step]] = {
        "characters": lambda: Characters(section.unicode),
        "pages": lambda: Pages(section),
        "pii": lambda: Protect(pii),
    }
    steps = {name: make() for name, make in makers.items()}
    warm = taken(iter(["Leia mais. [[Ficheiro:a]] tel. 912345678"]), 1)
    compiled = Work(warm)
    for step in steps.values():
        step(compiled)
    seconds: Counter[str] = Counter()
    whole = 0.0
    for title, texts in sources(arguments.data / "corpus"):
        batch = taken(texts, arguments.megabytes)
        work = Work(batch)
        examples: list[tuple[str, int]] = []
        for name, step in steps.items():
            before = work.texts
            started = time.process_time()
            step(work)
            seconds[name] += time.process_time() - started
            if name == "pages" and arguments.examples:
                examples = Counter(gone(before, work.texts)).most_common(arguments.examples)
            if name == "pii":
                expected = [replaced(text, frozenset(pii.kinds))[0] for text in before.to_pylist()]
                assert work.texts.to_pylist() == expected, f"{title}: the byte scan missed some"
        measured = work.measured()
        size = sum(measured.column("bytes_in").to_pylist()) / 1e6
        whole += size
        removed = measured.column("removed").to_pylist()
        edits = {e: sum(row[e] for row in removed) for e in EDITS}
        quality = measured.column("quality").to_pylist()
        counts = {
            name: int(sum(row[name] or 0 for row in quality))
            for name in ("boilerplate_lines", "policy_lines", "credit_lines", "transcript_tags")
            + ("wiki_remains", "pii_found")
        }
        rates = {
            name: round(float(np.nanmean([row[name] or 0 for row in quality])), 4)
            for name in ("adult_hits", "slur_hits", "spam_hits", "ocr_ratio", "mojibake_left")
        }
        print(f"{title}: {size:.1f} MB, bytes taken { ({k: v for k, v in edits.items() if v}) }")
        print(f"    { ({k: v for k, v in (counts | rates).items() if v}) }")
        for line, count in examples:
            print(f"    {count} x {line.strip()[:110]}")
    for name, spent in seconds.items():
        print(f"{name}: {whole / spent:.0f} MB/s")
    print(
        f"all three: {whole / sum(seconds.values()):.0f} MB/s over {whole:.1f} MB; pii as patterns"
    )


if __name__ == "__main__":
    main()
