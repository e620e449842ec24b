"""All quality rules and MinHash signatures, against datatrove's filters on the same documents.

datatrove's GopherRepetition, FineWebQuality, GopherQuality and C4Quality filters and its signature
step each see every document, as this project's kernels compute every signal and every signature; a
second row grants it that the first filter that drops a document is the last to see it, and that
only documents that pass are signed. Neither side is charged for loading spaCy, or machine code.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
from numpy.typing import NDArray

from benchmarks.corpus.texts import columns, megabytes, spread
from benchmarks.filters import datatrove_filters
from benchmarks.rows import Row, best, rate, timed
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.filtering.lexicon import Lexicon
from tagarela_dagster.corpus.filtering.rules import decide, recipe_rules
from tagarela_dagster.corpus.filtering.signals import buffer_signals
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import C4

CORPUS = Corpus(c4=C4(enabled=True))
PEER = "datatrove 0.10.1"
Answer = tuple[list[str | None], NDArray[np.uint64]]
"""Why each document is dropped (null keeps it), and the hashes of its bands."""


def judge(parts: list[pa.Array], lexicon: Lexicon) -> list[str | None]:
    """Signals of all rules, and what the recipe's thresholds make of them."""
    rules = recipe_rules(CORPUS)
    return [
        reason
        for part in parts
        for reason in decide(buffer_signals(*text_buffers(part), lexicon), rules)
    ]


def sign(parts: list[pa.Array]) -> NDArray[np.uint64]:
    """Band hashes of every document, with a signer that has seen nothing."""
    signer = Signer(CORPUS.dedup.minhash)
    return np.concatenate([signer.sign(part).bands for part in parts])


def by_datatrove(texts: list[str]) -> tuple[Answer, dict[str, float]]:
    """Its answers, and CPU seconds: of each filter and the signatures over all documents, and
    ``chained``: of all of it where a document goes no further than the filter that drops it."""
    filters = datatrove_filters(CORPUS.repetition, CORPUS.quality)
    step = MinhashDedupSignature("/nonexistent", language="por_Latn")
    signer = Signer(CORPUS.dedup.minhash)
    seconds = dict.fromkeys((*(type(f).__name__ for f in filters), "signatures", "chained"), 0.0)

    def one(text: str) -> tuple[str | None, Any]:
        reason = None
        for filter_ in filters:
            start = time.process_time()
            result = filter_.filter(TroveDocument(text=text, id="0"))
            took = time.process_time() - start
            seconds[type(filter_).__name__] += took
            seconds["chained"] += took if reason is None else 0
            if reason is None and result is not True:
                reason = result[1]
        start = time.process_time()
        least = step.get_signature(step.get_shingles(text))
        took = time.process_time() - start
        seconds["signatures"] += took
        seconds["chained"] += took if reason is None else 0
        return reason, least

    one("Bom dia a todos os que cá estão.")  # loads spaCy
    seconds |= dict.fromkeys(seconds, 0.0)
    answers = [one(text) for text in texts]
    width = len(signer.a)
    none = np.full(width, (1 << 64) - 1, np.uint64)
    least = [
        np.array(a, np.uint64).reshape(-1) if np.size(a) == width else none for _, a in answers
    ]
    return ([reason for reason, _ in answers], signer.hash_bands(np.array(least))), seconds


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family."""
    texts = spread(1.5 if quick else 6)
    parts, size = columns(texts), megabytes(texts)
    warm_up = columns(texts[:3])
    judge(warm_up, Lexicon(CORPUS.quality.stop_words))
    sign(warm_up)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def cold() -> tuple[list[str | None], Lexicon]:
            lexicon = Lexicon.open(folder, CORPUS.quality.stop_words)
            return judge(parts, lexicon), lexicon

        (reasons, lexicon), cold_seconds = best(lambda: cold)
        lexicon.save()

        def warm() -> list[str | None]:
            return judge(parts, Lexicon.open(folder, CORPUS.quality.stop_words))

        again, warm_seconds = best(lambda: warm)
    bands, sign_seconds = best(lambda: lambda: sign(parts))
    assert again == reasons, "a lexicon from an earlier run changes decisions"
    (their_reasons, their_bands), theirs = by_datatrove(texts)
    chained = theirs.pop("chained")
    equal_reasons = np.array([a == b for a, b in zip(reasons, their_reasons, strict=True)])
    # A document of fewer than five words has no signature, on either side.
    words = np.array([part.any() for part in bands])
    equal_bands = (bands == their_bands).all(axis=1) | ~words
    share = float((equal_reasons & equal_bands).mean())
    details = {
        "documents": len(texts),
        "megabytes": round(size, 2),
        "kept": reasons.count(None),
        "decisions_that_differ": int((~equal_reasons).sum()),
        "signatures_that_differ": int((~equal_bands).sum()),
        "peer_seconds": {name: round(s, 2) for name, s in theirs.items()},
    }
    everything = sum(theirs.values())
    for name, seconds in (("cold", cold_seconds), ("warm", warm_seconds)):
        yield rate(
            f"rules_and_signatures, {name}",
            size / (seconds + sign_seconds),
            PEER,
            size / everything,
            agreement=share,
            target=100,
            note="CPU; every rule and signature of every document",
            details=details if name == "cold" else {},
        )
    yield rate(
        "rules_and_signatures, warm, peer stops at the first drop",
        size / (warm_seconds + sign_seconds),
        PEER,
        size / chained,
        agreement=share,
        note="CPU; ours as before, all signals of all documents",
    )
    if not quick:
        yield long_run(size / everything)
    filters = everything - theirs["signatures"]
    decisions, signed = float(equal_reasons.mean()), float(equal_bands.mean())
    yield rate("rules, cold", size / cold_seconds, PEER, size / filters, agreement=decisions)
    yield rate("rules, warm", size / warm_seconds, PEER, size / filters, agreement=decisions)
    yield rate(
        "signatures", size / sign_seconds, PEER, size / theirs["signatures"], agreement=signed
    )


def long_run(peer_rate: float) -> Row:
    """All of the real text, the lexicon being empty at first."""
    texts = spread(1e3)
    parts, size = columns(texts), megabytes(texts)
    _, judging = timed(lambda: judge(parts, Lexicon(CORPUS.quality.stop_words)))
    _, signing = timed(lambda: sign(parts))
    return rate(
        f"rules_and_signatures, {size:.0f} MB from an empty lexicon",
        size / (judging + signing),
        PEER,
        peer_rate,
        target=100,
        note="CPU; the peer's rate is that of the rows above",
    )
