"""Pruning and distillation: which small model predicts held-out text best, at equal steps.

    python -m benchmarks.pruning [--data FOLDER] [--steps 500] [--prune 300] [--recover 100]

A small Llama is trained on Machado de Assis. Then it is cut to one shape by masks that learn
(training/pruning/masks.py), by the size of weights, and at random, and each is trained on for the
same number of steps; the last two also for as many more as the masks had. Then students of random
weights and that shape learn from text alone, and from text and the parent's logits. One process,
without DeepSpeed; the answers compared are losses in nats per token on text that none was
trained on.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from tagarela_dagster.recipe.pruning import Distill, Prune
from tagarela_dagster.recipe.shape import Model, Target
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.pretraining.data import Batch
from tagarela_dagster.training.pretraining.losses import NextToken
from tagarela_dagster.training.pretraining.optimizers import build_optimizer, set_learning_rates
from tagarela_dagster.training.pruning.cut import cut
from tagarela_dagster.training.pruning.distill import TeacherLoss
from tagarela_dagster.training.pruning.hard_concrete import LIMIT
from tagarela_dagster.training.pruning.loop import MaskedLoss
from tagarela_dagster.training.pruning.masks import MASK, masked_model
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer

SHAPE = Model(hidden=64, layers=4, heads=4, intermediate=176, context=64)
TARGET = Target(hidden=48, layers=3, heads=3, intermediate=88)
VOCABULARY, BATCH, HELD_OUT, BOOKS = 1024, 16, 256, 40


class Text:
    """Sequences of one text: the last ones are held out."""

    def __init__(self, archive: Path, tokenizer: Path) -> None:
        with tarfile.open(archive) as files:
            members = sorted((m for m in files if m.name.endswith(".txt")), key=lambda m: m.name)[
                :BOOKS
            ]
            texts = [files.extractfile(m).read().decode() for m in members]  # type: ignore[union-attr]
        train_tokenizer(texts, Tokenizer(vocabulary=VOCABULARY), tokenizer)
        self.tokenizer = load_tokenizer(tokenizer)
        ids = [i for text in texts for i in self.tokenizer(text)["input_ids"]]
        whole = len(ids) // SHAPE.context
        self.rows = torch.tensor(ids[: whole * SHAPE.context]).view(whole, SHAPE.context)
        self.rows = self.rows[torch.randperm(whole, generator=torch.Generator().manual_seed(0))]

    def batch(self, first: int, count: int = BATCH) -> Batch:
        """Sequences from ``first`` on; negative: held out."""
        trained = len(self.rows) - HELD_OUT
        index = torch.arange(first, first + count)
        rows = self.rows[index if first < 0 else index % trained]
        positions = torch.arange(SHAPE.context).expand(count, -1)
        return Batch(rows, positions, rows[:, 1:].clone(), [])


class Engine:
    """What a loss calls, without DeepSpeed."""

    def __init__(self, module: Any) -> None:
        self.module, self.global_steps = module, 0

    def __call__(self, **inputs: Any) -> Any:
        """The module's answer."""
        return self.module(**inputs)


def train(model: Any, text: Text, section: Any, first: int, loss: Any = None) -> Any:
    """Train for the section's steps on the batches from ``first`` on."""
    engine = Engine(model.train())
    masked = hasattr(model, "dimensions")
    learned = list(model.parameters(recurse=False)) if masked else []
    apart = [
        {"params": learned, "weight_decay": 0.0, "peak": getattr(section, "mask_learning_rate", 1)}
    ]
    optimizer = build_optimizer(model.model if masked else model, section, apart)
    loss = loss or (MaskedLoss(model) if masked else NextToken(model))
    for step in range(section.steps):
        set_learning_rates(optimizer, section, step)
        batch = text.batch((first + step) * BATCH)
        objective, _ = loss(engine, batch)
        (objective / batch.predicted).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), section.clip)
        optimizer.step()
        optimizer.zero_grad()
        for name in model.dimensions if masked else ():
            getattr(model, MASK + name).data.clamp_(-LIMIT, LIMIT)
        engine.global_steps += 1
    return model


@torch.no_grad()
def measure(model: Any, text: Text, teacher: Any = None) -> tuple[float, float]:
    """Loss on held-out text, and divergence from ``teacher``, nats per token."""
    batch = text.batch(-HELD_OUT, HELD_OUT)
    inputs = {"input_ids": batch.tokens, "position_ids": batch.positions, "use_cache": False}
    found = model.eval()(**inputs).logits[:, :-1].flatten(0, 1).log_softmax(-1)
    loss = torch.nn.functional.nll_loss(found, batch.targets.flatten())
    if teacher is None:
        return float(loss), 0.0
    told = teacher.eval()(**inputs).logits[:, :-1].flatten(0, 1).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(found, told, log_target=True, reduction="batchmean")
    return float(loss), float(divergence)


def by_size(parent: Any) -> dict[str, torch.Tensor]:
    """Scores of all units: norms of the weights that write them."""
    blocks = parent.model.layers
    out = [block.self_attn.o_proj.weight for block in blocks]
    down = [block.mlp.down_proj.weight for block in blocks]
    heads = [w.view(len(w), SHAPE.heads, -1).norm(dim=(0, 2)) for w in out]
    columns = torch.cat([parent.model.embed_tokens.weight, *(w.T for w in (*out, *down))])
    return {
        "hidden": columns.norm(dim=0),
        "layers": torch.stack([o.norm() + d.norm() for o, d in zip(out, down, strict=True)]),
        "heads": torch.stack(heads),
        "intermediate": torch.stack([w.norm(dim=0) for w in down]),
    }


def cut_by(parent: Any, scores: dict[str, torch.Tensor]) -> Any:
    """The parent without the units whose scores are lowest."""
    kept = {name: size for name, size in TARGET.model_dump().items() if size is not None}
    masks = {}
    for name, values in scores.items():
        best = values.topk(kept[name], dim=-1).indices
        masks[name] = torch.zeros(values.shape).scatter(-1, best, 1.0)
    return cut(parent.config, parent.state_dict(), masks)


def main() -> None:
    """Train, prune, recover, measure, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--prune", type=int, default=300)
    parser.add_argument("--recover", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)

    def section(steps: int, rate: float = 2e-3) -> Any:
        return Distill(teacher="parent", steps=steps, learning_rate=rate, warmup_steps=10)

    def tell(name: str, before: float, model: Any, teacher: Any = None) -> None:
        loss, divergence = measure(model, text, teacher)
        print(
            f"{name:34} {before:8.4f} {loss:8.4f} {divergence:8.4f}  {time.process_time():6.0f} s"
        )

    with tempfile.TemporaryDirectory() as scratch:
        archive = given.data / "corpus" / "literature" / "machado-de-assis.tar.xz"
        text = Text(archive, Path(scratch) / "tokenizer")
    print(f"{'':34} {'before':>8} {'after':>8} {'KL':>8}  CPU time")
    parent = train(build_model(SHAPE, text.tokenizer, given.seed), text, section(given.steps), 0)
    tell("parent", float("nan"), parent)
    done = given.steps
    pruning = Prune(
        target=TARGET,
        steps=given.prune,
        learning_rate=1e-3,
        warmup_steps=given.prune // 10,
        sparsity_warmup_steps=given.prune // 5,
    )
    weights = {name: value.clone() for name, value in parent.state_dict().items()}
    masked = train(
        masked_model(parent, TARGET, given.seed, pruning.sparsity_warmup_steps), text, pruning, done
    )
    sought = {name: round(masked.sought(name, given.prune), 3) for name in masked.dimensions}
    print(f"expected sparsity {masked.sparsities}, sought {sought}")
    small = masked.cut()
    parent = build_model(SHAPE, text.tokenizer, given.seed)
    parent.load_state_dict(weights)
    before, _ = measure(small, text)
    tell(
        "learned masks, recovery",
        before,
        train(small, text, section(given.recover), done + given.prune),
    )
    generator = torch.Generator().manual_seed(given.seed)
    sized = by_size(parent)
    drawn = {n: torch.rand(v.shape, generator=generator) for n, v in sized.items()}
    for name, scores in (("size of weights", sized), ("random", drawn)):
        before, _ = measure(cut_by(parent, scores), text)
        for more, steps in (
            ("recovery", given.recover),
            ("recovery and pruning's steps", given.recover + given.prune),
        ):
            after = train(
                cut_by(parent, scores),
                text,
                section(steps),
                done + given.prune + given.recover - steps,
            )
            tell(f"{name}, {more}", before, after)
    shape = SHAPE.model_copy(update=TARGET.model_dump())
    for share in (0.0, 0.5, 1.0):
        student = build_model(shape, text.tokenizer, given.seed + 1)
        loss = TeacherLoss(student, parent.requires_grad_(False).eval(), share)
        train(student, text, section(given.steps), done, loss)
        tell(f"student, {share:g} of the divergence", float("nan"), student, parent)


if __name__ == "__main__":
    main()
