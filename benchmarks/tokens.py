"""Tokenizing and packing against the bare ``tokenizers`` batch: same texts, process and threads.

    python -m benchmarks.tokens [--data FOLDER] [--megabytes 32] [--rounds 3] [--long-megabytes 20]

``stage`` is the whole of ``tokenize_partition``: Parquet in, held-out documents, encoding, counts,
token shards, index, hashes, manifest. ``raw`` is ``encode_batch_fast`` (and ``encode_batch``) over
the texts as a list in memory, its ids not even taken over. The ids are compared. Times are both
CPU seconds of all threads, which a busy machine changes little, and seconds on the clock, which say
how well the threads are kept busy; the order of the sides changes from round to round. ``long`` is
one document on a single line, cut at spaces, against the whole of it in one call.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.filters import real_documents
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens.encoding import cut
from tagarela_dagster.training.tokens.token_shards import tokenize_partition
from tagarela_dagster.training.tokens.tokenizer import open_tokenizer, train_tokenizer

VOCABULARY = 32_000


def write_shard(folder: Path, texts: list[str]) -> ShardInput:
    """The texts as a clean shard."""
    with ShardWriter(folder, "00000", DOCUMENT_SCHEMA) as writer:
        for first in range(0, len(texts), 500):
            rows = [
                Document(str(first + i), text, variety="pt-BR").row("bench", "1")
                for i, text in enumerate(texts[first : first + 500])
            ]
            writer.write(pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA))
    path = folder / "00000.parquet"
    return ShardInput("00000", (path,), (hash_file(path),))


def stage(shard: ShardInput, tokenizer: Path) -> np.ndarray:
    """Run the whole stage in a fresh lake; the stored ids."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        with lake.write("tokens", "bench@1", code_version="1", section={}, inputs={}) as writer:
            manifest = tokenize_partition(writer, [shard], tokenizer, held_out_share=0.0, seed=1)
        return np.fromfile(lake.paths(manifest, "tokens/")[0], "<u2")


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, CPU seconds of all threads, seconds on the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - clock


def compare(texts: list[str], tokenizer: Path, rounds: int) -> list[dict[str, Any]]:
    """Rows: the stage against each raw call, by CPU and by the clock."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    encoder = open_tokenizer(tokenizer)
    raw: dict[str, Callable[[], Any]] = {
        "encode_batch": lambda: encoder.encode_batch(texts, add_special_tokens=False),
        "encode_batch_fast": lambda: encoder.encode_batch_fast(texts, add_special_tokens=False),
    }
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ("stage", *raw)}
    with tempfile.TemporaryDirectory() as folder:
        shard = write_shard(Path(folder), texts)
        stage(write_shard(Path(folder) / "warm", texts[:2]), tokenizer)
        sides = {"stage": lambda: stage(shard, tokenizer), **raw}
        answers: dict[str, Any] = {}
        for number in range(rounds):
            names = list(sides)[:: 1 if number % 2 else -1]
            for name in names:
                answers[name], cpu, clock = timed(sides[name])
                took[name].append((cpu, clock))
                if name != "stage":
                    ids = [
                        i for e in answers[name] for i in (*e.ids, encoder.token_to_id("<|fim|>"))
                    ]
                    answers[name] = np.array(ids, "<u2")
    rows = []
    for name in raw:
        agreement = float(np.array_equal(answers["stage"], answers[name]))
        for place, clock_name in enumerate(("CPU", "clock")):
            ours = size / statistics.median(t[place] for t in took["stage"])
            theirs = size / statistics.median(t[place] for t in took[name])
            ratios = [s[place] for s in took[name]], [s[place] for s in took["stage"]]
            by_round = sorted(r / o for r, o in zip(*ratios, strict=True))
            rows.append(
                {
                    "name": f"tokenize and pack, {clock_name}",
                    "value": round(ours, 3),
                    "unit": "MB/s",
                    "peer": f"tokenizers {name}",
                    "peer_value": round(theirs, 3),
                    "ratio": round(ours / theirs, 3),
                    "ratio_by_round": [round(ratio, 3) for ratio in by_round],
                    "agreement": agreement,
                }
            )
    return rows


def long_document(texts: list[str], tokenizer: Path, megabytes: float) -> dict[str, Any]:
    """One line of this size: cut and encoded against encoded whole."""
    line = " ".join(" ".join(texts).split())
    line = (line + " ") * (1 + int(megabytes * 1e6 / len(line)))
    line = line[: int(megabytes * 1e6)]
    encoder = open_tokenizer(tokenizer)
    pieces = cut(line)
    parts, _, ours = timed(lambda: encoder.encode_batch_fast(pieces, add_special_tokens=False))
    whole, _, theirs = timed(lambda: encoder.encode_batch_fast([line], add_special_tokens=False))
    same = [i for part in parts for i in part.ids] == whole[0].ids
    size = len(line.encode()) / 1e6
    return {
        "name": f"one line of {size:.0f} MB in {len(pieces)} pieces, clock",
        "value": round(size / ours, 3),
        "unit": "MB/s",
        "peer": "tokenizers, the line whole",
        "peer_value": round(size / theirs, 3),
        "ratio": round(theirs / ours, 3),
        "agreement": float(same),
    }


def main() -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TAGARELA_MIRROR") or here)
    )
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--long-megabytes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not (arguments.data / "corpus").is_dir():
        print(f"skipped: {arguments.data} holds no corpus (give --data or set TAGARELA_MIRROR)")
        return
    texts = real_documents(arguments.data, arguments.megabytes)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Path(folder)
        train_tokenizer(texts, Tokenizer(vocabulary=VOCABULARY), tokenizer)
        rows = compare(texts, tokenizer, arguments.rounds)
        rows.append(long_document(texts, tokenizer, arguments.long_megabytes))
    print(json.dumps({"documents": len(texts), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
