"""Tokenizer surgery: which start of new tokens loses least, on real text and a trained parent.

    python -m benchmarks.surgery [--data FOLDER] [--steps 600] [--out FOLDER]

A small Llama is trained on half English, half Portuguese text with a tokenizer that was trained on
the English alone, so that it knows Portuguese but spells it in many pieces. Then its vocabulary is
replaced by one that was trained on the Portuguese, in each way that the recipe offers. Measured on
held-out Wikipedia: tokens a word, and nats per byte before any further training (and after a
little of it, with ``--adapt`` steps).
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from tagarela_dagster.evals.documents import HeldOutDocument
from tagarela_dagster.recipe.adaptation import Surgery
from tagarela_dagster.recipe.shape import Model
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.adaptation.surgery import measure, transplant
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer

VOCABULARY = 4096
SHAPE = Model(hidden=192, layers=4, heads=4, context=256, tie_embeddings=False)
BATCH = 16
METHODS = ("overlap", "omp", "random")


def main() -> None:
    """Train the parent, operate, measure, print a line a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=here)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--adapt", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the models here")
    given = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        english, portuguese, documents = texts(given.data)
        parent = out / "parent"
        if not (parent / "config.json").exists():
            train_tokenizer(english, Tokenizer(vocabulary=VOCABULARY), parent)
            model = build_model(SHAPE, load_tokenizer(parent), 0)
            loss = train(model, parent, english + portuguese, given.steps)
            print(f"parent: {given.steps} steps, last loss {loss:.3f} nats a token", flush=True)
            model.save_pretrained(parent)
        train_tokenizer(portuguese, Tokenizer(vocabulary=VOCABULARY), out / "tokenizer")
        print("parent ", row(measure(parent, documents)), flush=True)
        for method in METHODS:
            started = time.process_time()
            section = Surgery(method=method)
            counts = transplant(parent, out / "tokenizer", out / method, section, 0)
            seconds = time.process_time() - started
            start = measure(out / method, documents)
            line = f"{method:8}{row(start)}  {seconds:.1f} s"
            if given.adapt:
                from transformers import AutoModelForCausalLM

                model = AutoModelForCausalLM.from_pretrained(out / method)
                train(model, out / method, portuguese, given.adapt)
                model.save_pretrained(out / method)
                after = measure(out / method, documents)["nats_per_byte"]
                line += f"  after {given.adapt} steps {after:.4f}"
            print(line, flush=True)
        print(json.dumps(counts))


def texts(data: Path) -> tuple[list[str], list[str], list[HeldOutDocument]]:
    """English and Portuguese to train on, and held-out Portuguese."""
    english = []
    with gzip.open(data / "instruct" / "hh-rlhf-harmless-test.jsonl.gz", "rt") as file:
        english = [json.loads(line)["chosen"].strip() for line in file]
    wikipedia = data / "corpus" / "wikipedia"
    with lzma.open(wikipedia / "pt-wiki-lm-valid.txt.xz", "rt", encoding="utf-8") as file:
        portuguese = [line.strip() for line in file if line.strip()]
    with lzma.open(wikipedia / "pt-wiki-lm-bkp-test.txt.xz", "rt", encoding="utf-8") as file:
        held = [line.strip()[:2000] for line in file if line.strip()]
    return english, portuguese, [HeldOutDocument(str(i), t) for i, t in enumerate(held[:64])]


def train(model: Any, folder: Path, corpus: list[str], steps: int) -> float:
    """Next-token training in fp32 on windows drawn evenly from the corpus."""
    import torch

    tokenizer = load_tokenizer(folder)
    encoded = [tokenizer(t)["input_ids"] + [tokenizer.eos_token_id] for t in corpus]
    stream = np.concatenate([np.array(ids) for ids in encoded])
    draw = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95))
    model.train()
    loss = torch.zeros(())
    for step in range(steps):
        rate = min(1.0, (step + 1) / 50) * max(0.1, 1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate
        starts = draw.integers(0, len(stream) - SHAPE.context - 1, BATCH)
        ids = torch.from_numpy(np.stack([stream[s : s + SHAPE.context] for s in starts]))
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return float(loss.detach())


def row(values: dict[str, float]) -> str:
    """Figures of a model."""
    return (
        f"{values['fertility']:.3f} tokens a word, {values['bytes_per_token']:.2f} bytes a token, "
        f"{values['nats_per_byte']:.4f} nats a byte"
    )


if __name__ == "__main__":
    main()
