"""Search of benchmark items against datatrove's n-gram filter, and what a corpus really holds.

    python -m benchmarks.decontamination [--data FOLDER] [--megabytes 12]
    python -m benchmarks.decontamination --shards 'LAKE/documents/*/data-*/kept/*.parquet'

The first form plants copies of items (whole, and with a word changed) in real text and times both
sides in CPU seconds on the same batches, changing which goes first; answers are compared with each
other and with a search by plain Python sets. datatrove knows only that a document has some n-gram
of some task. The second form searches document shards for every set of the mirror and prints, by
set and source, which items are there, with and without a differing word.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig, NGramsDecontFilter
from datatrove.utils.text import TextNormConfig, ngrams, simplify_text

from benchmarks.benchmark_sets import benchmark_items
from benchmarks.filters import real_documents
from tagarela_dagster.corpus.decontamination.index import ItemIndex
from tagarela_dagster.corpus.decontamination.items import BenchmarkItem
from tagarela_dagster.corpus.dedup.normalize import normalize
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.recipe.decontamination import Decontamination

N_GRAMS = 13
BATCH = 200
PLANTED = 20
"""One document in so many gets a copy of an item."""
EXAMPLES = 3
T = TypeVar("T")


def plant(texts: Sequence[str], items: Sequence[BenchmarkItem]) -> list[str]:
    """The texts; one in PLANTED has an item's longest part in it, every second with a word less."""
    chance = random.Random(0)
    long = [p for p in (max(i.texts, key=len) for i in items) if len(p.split()) >= 2 * N_GRAMS]
    planted = []
    for number, text in enumerate(texts):
        if number % PLANTED == 0:
            words = chance.choice(long).split()
            if number % (2 * PLANTED):
                del words[len(words) // 2]
            middle = len(text) // 2
            text = f"{text[:middle]}\n{' '.join(words).upper()}\n{text[middle:]}"
        planted.append(text)
    return planted


def datatrove_filter(items: Sequence[BenchmarkItem], folder: Path) -> NGramsDecontFilter:
    """datatrove's filter with an index of the same n-grams, in its own file format."""
    config = NGramsDecontConfig(n_grams=N_GRAMS, norm_config=TextNormConfig(norm_numbers=False))
    own = NGramsDecontFilter(str(folder), config, language="por")
    hashes = set()
    for item in items:
        for text in item.texts:
            words = own.tokenizer.word_tokenize(simplify_text(text, config.norm_config))
            hashes.update(own.hash_func(" ".join(run)) for run in ngrams(words, N_GRAMS))
    array = np.array(sorted(hashes), dtype=config.hash_config.np_descr)
    array.tofile(folder / "all.index.hashes")
    own.load_index_hashes()
    return own


def plain_search(items: Sequence[BenchmarkItem]) -> Callable[[str], set[tuple[str, str]]]:
    """Items that share N_GRAMS words with a text, or are contained whole, by plain sets."""
    least = Decontamination().min_item_words
    runs: dict[int, dict[tuple[str, ...], set[tuple[str, str]]]] = {}
    for item in items:
        parts = [normalize(text, numbers=False).split() for text in item.texts]
        is_long = any(len(words) >= N_GRAMS for words in parts)
        for words in parts:
            if len(words) >= (N_GRAMS if is_long else least):
                length = min(N_GRAMS, len(words))
                for at in range(len(words) - length + 1):
                    run = tuple(words[at : at + length])
                    runs.setdefault(length, {}).setdefault(run, set()).add((item.task, item.id))

    def search(text: str) -> set[tuple[str, str]]:
        words = normalize(text, numbers=False).split()
        found: set[tuple[str, str]] = set()
        for length, table in runs.items():
            for at in range(len(words) - length + 1):
                found |= table.get(tuple(words[at : at + length]), set())
        return found

    return search


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Result and CPU seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def compare(items: Sequence[BenchmarkItem], texts: Sequence[str]) -> dict[str, Any]:
    """Speeds, and on how many documents the answers agree."""
    section = Decontamination(n_grams=N_GRAMS)
    index, build_seconds = timed(lambda: ItemIndex(items, section))
    index.search(pa.array(texts[:2], pa.large_string()))  # compiles
    one = ItemIndex(items, Decontamination(n_grams=N_GRAMS, mismatches=1))
    plain = plain_search(items)
    seconds = dict.fromkeys(("ours", "one mismatch", "datatrove"), 0.0)
    agree = agree_with_plain = found = more = 0
    with tempfile.TemporaryDirectory() as folder:
        trove = datatrove_filter(items, Path(folder))

        def theirs(batch: Sequence[str]) -> list[bool]:
            documents = [TroveDocument(text=text, id="0") for text in batch]
            return [trove.filter(document) is not True for document in documents]

        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            column = pa.array(batch, pa.large_string())
            sides: list[tuple[str, Callable[[], Any]]] = [
                ("ours", lambda column=column: index.search(column)),  # type: ignore[misc]
                ("one mismatch", lambda column=column: one.search(column)),  # type: ignore[misc]
                ("datatrove", lambda batch=batch: theirs(batch)),  # type: ignore[misc]
            ]
            answers = {}
            for name, side in sides if start // BATCH % 2 else sides[::-1]:
                answers[name], took = timed(side)
                seconds[name] += took
            for row, text in enumerate(batch):
                ours = answers["ours"].get(row)
                named = {(m.task, m.item) for m in ours.matches} if ours else set()
                # datatrove searches for n-grams only: an item that is shorter is nothing to it.
                long = any(m.words >= N_GRAMS for m in ours.matches) if ours else False
                found += bool(named)
                more += row in answers["one mismatch"] and not named
                agree += long == answers["datatrove"][row]
                agree_with_plain += named == plain(text)
    size = sum(len(text.encode()) for text in texts) / 1e6
    speeds = {name: round(size / s, 2) for name, s in seconds.items()}
    return {
        "documents": len(texts),
        "megabytes": round(size, 2),
        "items": len(items),
        "index_seconds": round(build_seconds, 2),
        "megabytes_per_second": speeds,
        "ratio": round(seconds["datatrove"] / seconds["ours"], 1),
        "documents_found": found,
        "more_with_one_mismatch": more,
        "agreement_with_datatrove": agree / len(texts),
        "agreement_with_plain_sets": agree_with_plain / len(texts),
    }


def survey(items: Sequence[BenchmarkItem], shards: Sequence[str]) -> dict[str, Any]:
    """Which items document shards hold: by set, then by source, and examples to look at."""
    report: dict[str, Any] = {}
    for mismatches in (0, 1):
        index = ItemIndex(items, Decontamination(n_grams=N_GRAMS, mismatches=mismatches))
        found: dict[str, dict[str, float]] = {}
        sources: dict[str, Counter[str]] = {}
        documents: Counter[str] = Counter()
        examples: dict[str, list[str]] = {}
        size = 0
        seconds = 0.0
        for path in shards:
            for batch in read_batches(Path(path), ["id", "text", "source"]):
                texts = batch.column("text")
                answer, took = timed(lambda index=index, texts=texts: index.search(texts))  # type: ignore[misc]
                seconds += took
                size += texts.nbytes
                for row, hit in answer.items():
                    source = batch.column("source")[row].as_py()
                    for task in {m.task for m in hit.matches}:
                        documents[task] += 1
                    text = texts[row].as_py().encode()
                    for m in hit.matches:
                        best = found.setdefault(m.task, {})
                        best[m.item] = max(best.get(m.item, 0.0), m.covered)
                        sources.setdefault(m.task, Counter())[source] += 1
                        if len(examples.setdefault(m.task, [])) < EXAMPLES:
                            excerpt = text[m.begin : m.end].decode()[:160]
                            examples[m.task].append(f"{source} {m.words} {m.covered}: {excerpt}")
        report[f"mismatches {mismatches}"] = {
            "megabytes": round(size / 1e6, 1),
            "megabytes_per_second": round(size / 1e6 / seconds, 1),
            "sets": {
                task: {
                    "items": number,
                    "searched": number - index.skipped[task],
                    "found": len(found.get(task, {})),
                    "covered over half": sum(c > 0.5 for c in found.get(task, {}).values()),
                    "documents": documents[task],
                    "sources": dict(sources.get(task, Counter()).most_common()),
                    "examples": examples.get(task, []),
                }
                for task, number in sorted(index.items.items())
            },
        }
    return report


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[2] / "shared" / "data"
    default = Path(os.environ.get("TAGARELA_MIRROR") or here)
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--megabytes", type=float, default=12)
    parser.add_argument("--shards", help="glob of document shards to survey instead")
    arguments = parser.parse_args()
    if not (arguments.data / "benchmarks").is_dir():
        print(f"skipped: {arguments.data} holds no benchmarks (give --data or TAGARELA_MIRROR)")
        return
    items = list(benchmark_items(arguments.data / "benchmarks"))
    if arguments.shards:
        result = survey(
            items, sorted(map(str, Path("/").glob(str(Path(arguments.shards).absolute())[1:])))
        )
    else:
        texts = real_documents(arguments.data, arguments.megabytes)
        result = compare(items, plant(texts, items))
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
