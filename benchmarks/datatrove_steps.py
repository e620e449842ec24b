"""This project's datatrove steps beside datatrove's own, in one run, answers compared.

    python -m benchmarks.datatrove_steps --megabytes 4

CPU time of one core over the same documents of real text (3,000 characters each at most, all
different), as a pipeline would run them: document objects in, document objects out.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline import filters
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature

from benchmarks.text import documents
from tagarela_dagster.corpus import datatrove as ours

CHARACTERS = 3_000
REPETITION = {
    "dup_line_frac": 0.287,
    "dup_para_frac": 0,
    "dup_line_char_frac": 0,
    "dup_para_char_frac": 0,
    "top_n_grams": ((2, 0.371), (3, 0.191), (4, 0.163)),
    "dup_n_grams": ((5, 0.163), (6, 0.153), (7, 0.141), (8, 0.13), (9, 0.119), (10, 0.108)),
}
FINEWEB = {
    "line_punct_thr": 0.077,
    "short_line_thr": 999,
    "char_duplicates_ratio": 0.1,
    "new_line_ratio": 0.186,
}
GOPHER = {
    "max_avg_word_length": 13,
    "max_non_alpha_words_ratio": 0.814,
    "stop_words": ours.rules.STOP_WORDS,
}


def fineweb_2(package: Any) -> list[PipelineStep]:
    """FineWeb-2's three rule filters for Portuguese (configs/por_Latn.yml)."""
    return [
        package.GopherRepetitionFilter(**REPETITION, language="por"),
        package.FineWebQualityFilter(**FINEWEB, language="por"),
        package.GopherQualityFilter(**GOPHER, language="por"),
    ]


def sample(megabytes: float) -> list[str]:
    """Different texts of that many UTF-8 bytes together."""
    found: dict[str, int] = {}
    for text in documents():
        text = text[:CHARACTERS]
        found[text] = len(text.encode())
        if sum(found.values()) >= megabytes * 1e6:
            break
    return list(found)


def run(steps: Sequence[PipelineStep], texts: Sequence[str]) -> tuple[Any, float]:
    """Texts that come out by number, and CPU seconds."""
    data: Any = (Document(text=text, id=str(number)) for number, text in enumerate(texts))
    start = time.process_time()
    for step in steps:
        data = step.run(data)
    out = {document.id: document.text for document in data or ()}
    return out, time.process_time() - start


def main() -> None:
    """Print a row a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=4.0)
    texts = sample(parser.parse_args().megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    write = sys.stdout.write
    write(f"{len(texts)} documents, {size:.2f} MB\n\n")
    write("| steps | here, MB/s | datatrove | times | equal |\n|---|---|---|---|---|\n")
    warm = ["O rio."]
    with tempfile.TemporaryDirectory() as folder:
        number = itertools.count()
        own, peer = Path(folder) / "own", Path(folder) / "peer"
        makers: list[tuple[str, Callable[[], list[PipelineStep]], Callable[[], list[PipelineStep]]]]
        makers = [
            ("FineWeb-2's three filters", lambda: fineweb_2(ours), lambda: fineweb_2(filters)),
            (
                "C4",
                lambda: [ours.C4QualityFilter()],
                lambda: [filters.C4QualityFilter(language="por")],
            ),
            (
                "MinHash signatures",
                lambda: [ours.MinhashDedupSignature(f"{own}/{next(number)}")],
                lambda: [MinhashDedupSignature(f"{peer}/{next(number)}", language="por")],
            ),
        ]
        for name, make, make_peer in makers:
            run(make(), warm), run(make_peer(), warm)
            ours.measured.measured.cache_clear()
            found, seconds = run(make(), texts)
            expected, peer_seconds = run(make_peer(), texts)
            equal = sum(found.get(str(n)) == expected.get(str(n)) for n in range(len(texts)))
            told = f"{equal} of {len(texts)}"
            if "MinHash" in name:
                told = f"{_files(own) == _files(peer)}, all bytes"
            rates = f"{size / seconds:.1f} | {size / peer_seconds:.2f}"
            write(f"| {name} | {rates} | {peer_seconds / seconds:.0f} | {told} |\n")


def _files(folder: Path) -> list[bytes]:
    """The newest signatures below a folder."""
    newest = max(folder.iterdir(), key=lambda path: int(path.name))
    return [path.read_bytes() for path in sorted(newest.rglob("*.sig"))]


if __name__ == "__main__":
    main()
