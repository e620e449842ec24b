"""Signatures against datatrove, rensa and text-dedup: MB/s of CPU time, answers compared.

    python -m benchmarks.dedup [--megabytes 6]

All sign the same text (benchmarks/text.py) in one process: 112 hash functions of word 5-grams, 14
bands of 8. datatrove's signatures must be equal to the bit. The other two have hash functions and
words of their own, so what is compared is which documents have an earlier near copy. They are run
where they are installed (``pip install rensa text-dedup`` brings the newest).

``cold`` is the first text that a signer sees, machine code being in its cache as in every process
but the first; ``warm`` is the same text again, with the words of every chunk known.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
from numpy.typing import NDArray
from xxhash import xxh3_128_intdigest

from benchmarks.text import documents
from tagarela_dagster.corpus.dedup.minhash import Signer, hash_texts
from tagarela_dagster.corpus.dedup.normalize import normalize_texts
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.dedup import Minhash

SECTION = Minhash()
FUNCTIONS = SECTION.bands * SECTION.rows


def corpus(size: int) -> list[str]:
    """About ``size`` bytes of documents of at least five words."""
    found, total = [], 0
    for text in documents():
        if len(text.split()) >= 5:
            found.append(text)
            total += len(text.encode())
        if total >= size:
            break
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Answer and CPU seconds of a call."""
    start = time.process_time()
    answer = work()
    return answer, time.process_time() - start


def by_datatrove(texts: list[str]) -> NDArray[np.uint64]:
    """(texts, functions) least values, by datatrove's signature step."""
    step = MinhashDedupSignature("/nonexistent", language="por_Latn")
    rows = [step.get_signature(step.get_shingles(text)) for text in texts]
    return np.array(rows, np.uint64).reshape(len(texts), FUNCTIONS)


def by_rensa(texts: list[str]) -> NDArray[np.uint64]:
    """(texts, functions) by rensa's RMinHash, as its documentation does: 5-grams of words."""
    from rensa import RMinHash

    def shingles(text: str) -> list[str]:
        words = text.split()
        return [" ".join(words[start : start + 5]) for start in range(max(1, len(words) - 4))]

    rows = RMinHash.digest_matrix_from_token_sets(map(shingles, texts), FUNCTIONS, 1).to_rows()
    return np.array(rows, np.uint64)


def by_text_dedup(texts: list[str]) -> NDArray[np.uint64]:
    """(texts, bands) hash of each band, by text-dedup's own embed_func with its defaults."""
    from text_dedup.minhash import RNG, SIGNATURE_COLUMN, embed_func, xxh3_32hash

    prime, most = np.uint64((1 << 61) - 1), np.uint32((1 << 32) - 1)
    permutations = (
        RNG.randint(1, prime, size=(FUNCTIONS,), dtype=np.uint64),
        RNG.randint(0, prime, size=(FUNCTIONS,), dtype=np.uint64),
    )
    ranges = [(start, start + SECTION.rows) for start in range(0, FUNCTIONS, SECTION.rows)]
    rows = []
    for number, text in enumerate(texts):
        found = embed_func(
            content=text,
            idx=number,
            num_perm=FUNCTIONS,
            ngram_size=5,
            min_length=5,
            hashranges=ranges,
            permutations=permutations,
            hash_func=xxh3_32hash,
            dtype=np.uint64,
            max_hash=most,
            modulo_prime=prime,
        )
        rows.append(
            [xxh3_128_intdigest(band) & ((1 << 64) - 1) for band in found[SIGNATURE_COLUMN]]
        )
    return np.array(rows, np.uint64)


def repeated(bands: NDArray[np.uint64]) -> set[int]:
    """Documents that agree in a band with an earlier one."""
    found: set[int] = set()
    for column in bands.T:
        _, first, group = np.unique(column, return_index=True, return_inverse=True)
        found.update(np.flatnonzero(first[group] != np.arange(len(column))).tolist())
    return found


def row(name: str, value: float, peer: str, peer_value: float, agreement: float) -> dict[str, Any]:
    """A row of results, MB/s of CPU time."""
    rates = {"value": round(value, 2), "unit": "MB/s", "peer": peer}
    ratio = {"peer_value": round(peer_value, 2), "ratio": round(value / peer_value, 1)}
    return {"name": name, **rates, **ratio, "agreement": round(agreement, 5)}


def measure(texts: list[str]) -> Iterable[dict[str, Any]]:
    """Rows of results, one for each peer and each way to run."""
    column = pa.array(texts, pa.large_string())
    data, offsets = text_buffers(column)
    megabytes = len(data) / 1e6
    Signer(SECTION).sign(column.slice(0, 2))
    signer = Signer(SECTION)
    signatures, cold = timed(lambda: signer.sign(column))
    warm = min(timed(lambda: signer.sign(column))[1] for _ in range(3))
    by_datatrove(texts[:2])  # which loads spaCy
    least, seconds = timed(lambda: by_datatrove(texts))
    rate, expected = megabytes / seconds, signer.hash_bands(least)
    equal = float((expected == signatures.bands).all(axis=1).mean())
    yield row("signatures, cold", megabytes / cold, "datatrove", rate, equal)
    yield row("signatures, warm", megabytes / warm, "datatrove", rate, equal)
    ours = repeated(signatures.bands)
    for peer, sign in (("rensa", by_rensa), ("text_dedup", by_text_dedup)):
        if importlib.util.find_spec(peer) is None:
            yield {"name": "signatures", "peer": peer, "skipped": "not installed"}
            continue
        sign(texts[:2])
        found, seconds = timed(lambda sign=sign: sign(texts))  # type: ignore[misc]
        theirs = repeated(found if found.shape[1] == SECTION.bands else signer.hash_bands(found))
        agreement = 1 - len(ours ^ theirs) / len(texts)
        yield row("signatures, warm", megabytes / warm, peer, megabytes / seconds, agreement)
    for name, work in (
        ("exact hashes alone", lambda: hash_texts(data, offsets)),
        ("normalisation alone", lambda: normalize_texts(data, offsets)),
    ):
        seconds = min(timed(work)[1] for _ in range(3))
        yield {"name": name, "value": round(megabytes / seconds, 1), "unit": "MB/s"}
    yield {"name": "documents", "value": len(texts), "repeated": len(ours)}


def main() -> None:
    """Run all and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=6)
    arguments = parser.parse_args()
    unequal = False
    for result in measure(corpus(int(arguments.megabytes * 1e6))):
        print(json.dumps(result))
        unequal |= result.get("peer") == "datatrove" and result["agreement"] < 1
    if unequal:
        raise SystemExit("signatures differ from datatrove's")


if __name__ == "__main__":
    main()
