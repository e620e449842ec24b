"""The three rule filters against datatrove's own, side by side in one run, answers compared.

    python -m benchmarks.filters [--data FOLDER] [--megabytes 12]
    python -m benchmarks.filters --parity --megabytes 5

Batches of documents go through datatrove's GopherRepetition, FineWebQuality, GopherQuality and C4
filters and through this project's rules, which one first changes from batch to batch. Times are
CPU seconds of this process, so that a busy machine changes both alike. ``cold`` includes filling
the lexicon from nothing, ``warm`` is a second pass over the same documents. ``--parity`` compares
the decisions of each rule alone (benchmarks/parity.py).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter

from benchmarks.parity import PARITY_CHARACTERS, parity, write_table
from tagarela_dagster.corpus.filtering.cleanup import clean, clean_buffers
from tagarela_dagster.corpus.filtering.language import identify, identify_buffers
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import decide, recipe_rules
from tagarela_dagster.corpus.filtering.signals import buffer_signals, text_signals
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import C4, Cleanup, Quality, Repetition

ARCHIVES = (
    "politics/programas-eleitorais-pt",
    "literature/machado-de-assis",
    "legal/lener-br-raw",
    "legal/legislacao-portugal-md",
    "tech/tensorflow-docs-pt-br",
    "tech/mdn-pt-br",
)
DOCUMENT_CHARACTERS = 8_000
BATCH = 50
T = TypeVar("T")


def real_documents(
    folder: Path, megabytes: float, characters: int = DOCUMENT_CHARACTERS
) -> list[str]:
    """Pieces of real documents, the archives in turn, up to ``megabytes`` of UTF-8."""
    sources = [_pieces(folder / "corpus" / f"{name}.tar.xz", characters) for name in ARCHIVES]
    texts: list[str] = []
    size = 0
    while sources:
        for source in list(sources):
            text = next(source, None)
            if text is None:
                sources.remove(source)
                continue
            texts.append(text)
            size += len(text.encode())
            if size >= megabytes * 1e6:
                return texts
    return texts


def _pieces(path: Path, size: int) -> Iterator[str]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".txt", ".md")):
                file = archive.extractfile(member)
                assert file is not None
                text = file.read().decode("utf-8", "replace")
                for start in range(0, min(len(text), 5 * size), size):
                    yield text[start : start + size]


def datatrove_filters(repetition: Repetition, quality: Quality) -> list[BaseFilter]:
    """FineWeb-2's sequence for Portuguese, with this project's thresholds."""
    return [
        GopherRepetitionFilter(
            dup_line_frac=repetition.dup_line_frac,
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            top_n_grams=tuple(repetition.top_n_grams.items()),
            dup_n_grams=tuple(repetition.dup_n_grams.items()),
            language="por",
        ),
        FineWebQualityFilter(
            line_punct_thr=quality.line_punct_ratio,
            short_line_thr=999,
            char_duplicates_ratio=quality.char_duplicates_ratio,
            new_line_ratio=quality.new_line_ratio,
            language="por",
        ),
        GopherQualityFilter(
            max_avg_word_length=quality.max_avg_word_length,
            max_non_alpha_words_ratio=quality.min_alpha_words,
            stop_words=quality.stop_words,
            language="por",
        ),
        C4QualityFilter(language="por"),
    ]


def reason(text: str, filters: list[BaseFilter]) -> str | None:
    """Drop reason of the first filter that drops the text."""
    for filter_ in filters:
        result = filter_.filter(TroveDocument(text=text, id="0"))
        if result is not True:
            return result[1]
    return None


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def compare(texts: list[str]) -> dict[str, Any]:
    """Speeds, their ratio by batch, and on how many documents the decisions agree."""
    corpus = Corpus(c4=C4(enabled=True))
    filters = datatrove_filters(corpus.repetition, corpus.quality)
    rules = recipe_rules(corpus)
    lexicon = Lexicon(corpus.quality.stop_words)
    # Neither side pays for starting spaCy, nor for compiling.
    reason("Bom dia.", filters)
    text_signals(["R$5"], lexicon)

    def trove(batch: list[str]) -> list[str | None]:
        return [reason(text, filters) for text in batch]

    def own(batch: list[str]) -> list[str | None]:
        return decide(text_signals(batch, lexicon), rules)

    batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
    seconds = {"datatrove": 0.0, "cold": 0.0, "warm": 0.0}
    ratios = []
    differ = 0
    for number, batch in enumerate(batches):
        sides: list[tuple[str, Callable[[list[str]], list[str | None]]]]
        sides = [("datatrove", trove), ("cold", own)]
        answers, took = {}, {}
        for name, side in sides if number % 2 else sides[::-1]:
            answers[name], took[name] = timed(partial(side, batch))
            seconds[name] += took[name]
        ratios.append(took["datatrove"] / took["cold"])
        differ += sum(a != b for a, b in zip(*answers.values(), strict=True))
    asked = lexicon.asked
    for batch in batches:
        seconds["warm"] += timed(partial(own, batch))[1]
    size = megabytes(texts)
    return {
        "documents": len(texts),
        "megabytes": round(size, 2),
        "decisions_that_differ": differ,
        "megabytes_per_second": {name: round(size / s, 2) for name, s in seconds.items()},
        "ratio_cold": round(seconds["datatrove"] / seconds["cold"], 1),
        "ratio_warm": round(seconds["datatrove"] / seconds["warm"], 1),
        "ratio_cold_by_batch": [round(q, 1) for q in statistics.quantiles(ratios, n=4)],
        "distinct_chunks": len(lexicon),
        "chunks_asked_of_spacy": asked,
    }


def parts(texts: list[str]) -> dict[str, dict[str, float]]:
    """Megabytes a second of each step of measuring over one batch of buffers: first and second
    pass, compiled before."""
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    section = Cleanup()
    clean("Bom dia.", section)
    identify(["Bom dia."])
    lexicon = Lexicon(Quality().stop_words)
    steps: dict[str, Callable[[], object]] = {
        "line clean-up": lambda: clean_buffers(data, offsets, section),
        "language": lambda: identify_buffers(data, offsets),
        "signals": lambda: buffer_signals(data, offsets, lexicon),
    }
    size = megabytes(texts)
    return {
        name: {turn: round(size / timed(step)[1], 1) for turn in ("first", "second")}
        for name, step in steps.items()
    }


def megabytes(texts: list[str]) -> float:
    """UTF-8 size in 10^6 bytes."""
    return sum(len(text.encode()) for text in texts) / 1e6


def main() -> None:
    """Run and print one JSON object; with --parity write the table of docs/filters.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[2] / "shared" / "data"
    default = Path(os.environ.get("TAGARELA_MIRROR") or here)
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--megabytes", type=float, default=12)
    parser.add_argument("--parity", action="store_true", help="agreement by rule, into the docs")
    arguments = parser.parse_args()
    if not (arguments.data / "corpus").is_dir():
        print(f"skipped: {arguments.data} holds no corpus (give --data or set TAGARELA_MIRROR)")
        return
    if arguments.parity:
        texts = real_documents(arguments.data, arguments.megabytes, PARITY_CHARACTERS)
        rows = parity(texts)
        write_table(Path(__file__).parents[1] / "docs" / "filters.md", rows)
        print(json.dumps(rows, indent=2))
        return
    texts = real_documents(arguments.data, arguments.megabytes)
    print(json.dumps(compare(texts) | {"megabytes_per_second_by_part": parts(texts)}, indent=2))


if __name__ == "__main__":
    main()
