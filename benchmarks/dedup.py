"""MinHash signatures against datatrove's, side by side: MB/s of CPU time, answers compared.

    .venv/bin/python benchmarks/dedup.py [--megabytes 4] [--rounds 4]

Text: novels, statutes and programmes of the mirror (TAGARELA_MIRROR) where there is one, else the
sample's prose over and over; every tenth document comes again with words left out. Both sides
sign the same documents in the same process, in turns; then both resolve their clusters, and the
number of documents dropped must be the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)
from loguru import logger

from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.dedup.resolve import Group, resolve
from tagarela_dagster.corpus.dedup.signatures import signature_batch, signature_schema
from tagarela_dagster.corpus.shards import ShardWriter
from tagarela_dagster.recipe.dedup import Dedup

ROOT = Path(__file__).parents[1]
MIRROR = Path(os.environ.get("TAGARELA_MIRROR") or ROOT.parent / "shared" / "data") / "corpus"
ARCHIVES = (
    "literature/machado-de-assis",
    "politics/programas-eleitorais-pt",
    "legal/legislacao-portugal-md",
)
CHARACTERS = 4_000
BATCH = 256


def texts() -> Iterator[str]:
    """Pieces of real text, from each archive in turn."""
    if not MIRROR.is_dir():
        prose = sorted((ROOT / "tagarela_dagster" / "sample" / "prose").glob("*.md"))
        for number in itertools.count():
            for path in prose:
                for piece in cut(path.read_text(encoding="utf-8")):
                    yield f"Edição {'x' * number}. {piece}"
    streams = [archive(MIRROR / f"{name}.tar.xz") for name in ARCHIVES]
    for pieces in itertools.zip_longest(*streams):
        yield from (piece for piece in pieces if piece)


def archive(path: Path) -> Iterator[str]:
    """Pieces of the members of an archive."""
    with tarfile.open(path) as members:
        for member in members:
            if member.isfile() and (file := members.extractfile(member)):
                yield from cut(file.read().decode("utf-8", "replace"))


def cut(text: str) -> list[str]:
    """Pieces of CHARACTERS."""
    return [text[start : start + CHARACTERS] for start in range(0, len(text), CHARACTERS)]


def corpus(size: int) -> list[str]:
    """About ``size`` bytes of documents, every tenth with a near duplicate."""
    found: list[str] = []
    size_so_far = 0
    for number, text in enumerate(texts()):
        copies = [text]
        if number % 10 == 0:
            words = text.split(" ")
            gap = 40 + number % 400
            copies.append(" ".join(w for i, w in enumerate(words) if i % gap != gap - 1))
        found += copies
        size_so_far += sum(len(copy.encode()) for copy in copies)
        if size_so_far >= size:
            break
    return found


def seconds(work: object) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


def compare_signatures(documents: list[str], rounds: int) -> list[dict[str, float]]:
    """Rates of both, round by round on parts of the documents; they must agree to the bit."""
    section = Dedup().minhash
    signer, theirs = Signer(section), MinhashDedupSignature("/nonexistent", language="por_Latn")
    signer.sign(documents[:1])
    theirs.get_shingles(documents[0])
    rows = []
    for part in range(rounds):
        mine = documents[part::rounds]
        megabytes = sum(len(text.encode()) for text in mine) / 1e6
        ours_found: list[np.ndarray] = []
        theirs_found: list[list[list[int]]] = []

        def ours(mine: list[str] = mine, out: list[np.ndarray] = ours_found) -> None:
            for start in range(0, len(mine), BATCH):
                out.append(signer.sign(mine[start : start + BATCH]).bands)

        def peer(mine: list[str] = mine, out: list[list[list[int]]] = theirs_found) -> None:
            for text in mine:
                out.append(theirs.get_signature(theirs.get_shingles(text)))

        order = [("tagarela", ours), ("datatrove", peer)]
        rates = {
            name: megabytes / seconds(work) for name, work in (order if part % 2 else order[::-1])
        }
        # Ours keeps a hash of each band's values: hash theirs in the same way.
        expected = signer.hash_bands(np.array(theirs_found, np.uint64).reshape(len(mine), -1))
        if not np.array_equal(np.concatenate(ours_found), expected):
            raise SystemExit("the signatures differ")
        rows.append({**rates, "ratio": rates["tagarela"] / rates["datatrove"]})
    return rows


def dropped_by_us(documents: list[str], folder: Path) -> int:
    """Documents that are not the first of their cluster (exact copies count as near here)."""
    section = Dedup(exact=False)
    schema = signature_schema(section.minhash)
    with ShardWriter(folder, "signatures", schema) as out:
        ids = pa.array([str(number) for number in range(len(documents))])
        out.write(signature_batch(ids, Signer(section.minhash).sign(documents), schema))
    group = Group("all", (folder / "signatures.parquet",), by_id=False)
    root = resolve([group], section).root
    return int((root != np.arange(len(root))).sum())


def dropped_by_datatrove(documents: list[str], folder: Path) -> int:
    """Documents that datatrove's three stages remove."""
    names = [str(folder / name) for name in ("signatures", "buckets", "clusters")]
    pipeline = [Document(text=text, id=str(number)) for number, text in enumerate(documents)]
    MinhashDedupSignature(names[0], language="por_Latn").run(iter(pipeline))
    for bucket in range(14):
        MinhashDedupBuckets(names[0], names[1]).run(rank=bucket, world_size=14)
    MinhashDedupCluster(names[1], names[2]).run()
    return sum(path.stat().st_size // 4 for path in Path(names[2]).glob("*.remove"))


def main() -> None:
    """Run both and print the rates as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--megabytes", type=float, default=4)
    arguments.add_argument("--rounds", type=int, default=4)
    options = arguments.parse_args()
    logger.remove()  # datatrove logs every stage
    documents = corpus(int(options.megabytes * 1e6))
    rows = compare_signatures(documents, options.rounds)
    some = documents[: len(documents) // options.rounds]
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = dropped_by_us(some, Path(name)), dropped_by_datatrove(some, Path(name))
    if ours != theirs:
        raise SystemExit(f"{ours} documents dropped, datatrove drops {theirs}")
    ratios = [row["ratio"] for row in rows]
    result = {
        "text": "mirror" if MIRROR.is_dir() else "sample prose",
        "documents": len(documents),
        "megabytes": sum(len(text.encode()) for text in documents) / 1e6,
        "tagarela_mb_s": statistics.median(row["tagarela"] for row in rows),
        "datatrove_mb_s": statistics.median(row["datatrove"] for row in rows),
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "signatures_equal": True,
        "dropped_of": [ours, len(some)],
    }
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}))


if __name__ == "__main__":
    main()
