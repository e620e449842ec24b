"""Training loop: forward, backward, step, one line of metrics, now and then a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.account import by_source
from tagarela_dagster.training.pretraining.data import IGNORED, Batch, Batches
from tagarela_dagster.training.pretraining.engine import unsharded_gradient_norm
from tagarela_dagster.training.pretraining.schedule import learning_rate

Row = dict[str, Any]


class Loop:
    """Trains from a step on.

    Args:
        start: last line of metrics of the steps that are done; None at the beginning.
        on_step: given each step's line of metrics, on every rank.
    """

    def __init__(
        self,
        engine: Any,
        batches: Batches,
        section: Pretrain,
        start: Row | None,
        on_step: Callable[[Row], None],
    ) -> None:
        self.engine = engine
        self.batches = batches
        self.section = section
        self.on_step = on_step
        self.step: int = start["step"] if start else 0
        self.seconds: float = start["seconds"] if start else 0.0
        self.loss: float = start["loss"] if start else math.nan
        # A run starts at a checkpoint, and a checkpoint's line has the tokens of every cell.
        known = start["tokens_per_cell"] if start else {}
        self.tokens = {cell: int(known.get(cell, 0)) for cell in batches.sampler.cells}

    def run(self) -> None:
        """Train to the last step. Raises TrainingError when the loss is no number any more."""
        self.engine.train()
        while self.step < self.section.steps:
            started = time.perf_counter()
            before = sum(self.tokens.values())
            rate = learning_rate(self.step, self.section)
            self.loss, norm = self._train(self.batches.step(self.step), rate)
            self.step += 1
            taken = time.perf_counter() - started
            self.seconds += taken
            tokens = sum(self.tokens.values())
            row = {
                "step": self.step,
                "loss": self.loss,
                "tokens": tokens,
                "seconds": round(self.seconds, 4),
                "learning_rate": rate,
                "gradient_norm": norm,
                "tokens_per_second": round((tokens - before) / taken, 1),
                "tokens_per_source": by_source(self.batches.sampler.plan, self.tokens),
            }
            if is_checkpoint(self.step, self.section):
                row["tokens_per_cell"] = {cell: n for cell, n in self.tokens.items() if n}
            self.on_step(row)

    def _train(self, batches: list[Batch], rate: float) -> tuple[float, float]:
        """One optimizer step; mean loss per predicted token over all ranks, gradient norm.

        Each micro-batch's loss is its sum over tokens, divided by the tokens of the whole step:
        the gradient is that of the mean over tokens, however they are divided.
        """
        import torch
        import torch.distributed as dist

        device = self.engine.device
        predicted = torch.tensor(float(sum(b.predicted for b in batches)), device=device)
        dist.all_reduce(predicted)
        # DeepSpeed averages gradients over ranks; this step wants their sum.
        scale = dist.get_world_size() / predicted.item()
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        total = torch.zeros((), dtype=torch.float64, device=device)
        for micro, batch in enumerate(batches, start=1):
            loss = self._loss(batch)
            total += loss.detach()
            self.engine.backward(loss * scale, scale_wrt_gas=False)
            if micro == len(batches):
                mean = self._sum_over_ranks(total, batches) / predicted.item()
                self._require_finite("loss", mean)
                unsharded = unsharded_gradient_norm(self.engine)
            self.engine.step()
        norm = float(self.engine.get_global_grad_norm() or unsharded)
        self._require_finite("gradient norm", norm)
        return mean, norm

    def _loss(self, batch: Batch) -> Any:
        """Sum of the cross-entropy over a micro-batch's predicted tokens, in nats."""
        import torch.nn.functional as functional

        device = self.engine.device
        logits = self.engine(
            input_ids=batch.tokens.to(device),
            position_ids=batch.positions.to(device),
            use_cache=False,
        ).logits[:, :-1]
        return functional.cross_entropy(
            logits.flatten(0, 1).float(),
            batch.targets.to(device).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )

    def _sum_over_ranks(self, loss: Any, batches: list[Batch]) -> float:
        """Loss summed over ranks; the ranks' tokens per cell are counted on the way."""
        import torch
        import torch.distributed as dist

        taken = dict.fromkeys(self.tokens, 0)
        for batch in batches:
            for cell in batch.cells:
                taken[cell] += batch.tokens.shape[1]
        sums = torch.tensor(
            [loss.item(), *taken.values()], dtype=torch.float64, device=self.engine.device
        )
        dist.all_reduce(sums)
        whole, *counts = sums.tolist()
        for cell, count in zip(taken, counts, strict=True):
            self.tokens[cell] += int(count)
        return whole

    def _require_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"the {what} of step {self.step + 1} is {value} (last loss {self.loss:.4f}): "
                f"lower learning_rate ({self.section.learning_rate:g}) or clip "
                f"({self.section.clip:g}), or lengthen warmup_steps "
                f"({self.section.warmup_steps}); the checkpoints before it are good"
            )


def is_checkpoint(step: int, section: Pretrain) -> bool:
    """Whether a checkpoint is saved after step ``step`` (from 1)."""
    return step % section.checkpoint_every == 0 or step == section.steps
