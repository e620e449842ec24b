"""Training loop: forward, backward, step, one line of metrics, now and then a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.training import Pretrain
from tagarela_dagster.training.launching import preemption
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.mixing.account import by_source
from tagarela_dagster.training.pretraining import optimizers
from tagarela_dagster.training.pretraining.data import Batch, Batches
from tagarela_dagster.training.pretraining.gate import Gate
from tagarela_dagster.training.pretraining.losses import NextToken
from tagarela_dagster.training.pretraining.prefetch import Prefetch
from tagarela_dagster.training.pretraining.stability import SKIPPED, Guard

if TYPE_CHECKING:
    import torch

    from tagarela_dagster.training.pretraining.losses import Loss

Row = dict[str, Any]


class Loop:
    """Trains from a step on.

    Args:
        rows: lines of metrics of the steps that are done, oldest first.
        on_step: given each step's line of metrics, on every rank; saves a checkpoint where the line
            has ``tokens_per_cell``.
        loss: what is trained (losses.py); without one, next tokens.
    """

    def __init__(
        self,
        engine: Any,
        batches: Batches,
        section: Pretrain,
        rows: Sequence[Row],
        on_step: Callable[[Row], None],
        loss: Loss | None = None,
    ) -> None:
        self.engine = engine
        self.batches = batches
        self.section = section
        self.on_step = on_step
        self.loss = loss or NextToken(engine.module, section.z_loss)
        self.gate = Gate(engine)
        self.guard = Guard(section.stability, rows)
        start = rows[-1] if rows else None
        self.stopping = False
        self.step: int = start["step"] if start else 0
        self.seconds: float = start["seconds"] if start else 0.0
        self.last_loss: float = start["loss"] if start else math.nan
        # A run starts at a checkpoint, and a checkpoint's line has the tokens of every cell.
        known = start["tokens_per_cell"] if start else {}
        self.tokens = {cell: int(known.get(cell, 0)) for cell in batches.sampler.cells}

    def run(self) -> None:
        """Train to the last step.

        Raises:
            Stopped: the ranks were asked to stop (preemption.py), and have saved a checkpoint.
            TrainingError: the loss or the gradient is no number any more, or too many steps in a
                row were spikes.
        """
        self.engine.train()
        pin = self.engine.device.type == "cuda"
        with Prefetch(self.batches, self.step, pin=pin) as prefetch:
            while self.step < self.section.steps:
                started = time.perf_counter()
                micro_batches, waited = prefetch.take()
                row = self._train(micro_batches)
                self.step += 1
                taken = time.perf_counter() - started
                self.seconds += taken
                row["seconds"] = round(self.seconds, 4)
                row["data_seconds"] = round(waited, 6)
                row["tokens_per_second"] = round(row.pop("consumed") / taken, 1)
                if is_checkpoint(self.step, self.section) or self.stopping:
                    row["tokens_per_cell"] = {cell: n for cell, n in self.tokens.items() if n}
                self.on_step(row)
                if self.stopping and self.step < self.section.steps:
                    self._stop()
                    raise preemption.Stopped(f"step {self.step}")

    def _stop(self) -> None:
        """Release whoever waits for the next step, which does not come."""

    def _train(self, micro_batches: list[Batch]) -> Row:
        """One step, and its line of metrics.

        Each micro-batch's loss is its sum over tokens, divided by the tokens of the whole step:
        the gradient is that of the mean over tokens, however they are divided.
        """
        import torch
        import torch.distributed as dist

        device = self.engine.device
        rate = optimizers.set_learning_rates(self.engine.optimizer, self.section, self.step)
        counts = torch.tensor(self._counts(micro_batches), dtype=torch.float64, device=device)
        dist.all_reduce(counts)
        # DeepSpeed averages gradients over ranks; this step wants their sum.
        scale = (dist.get_world_size() / counts[0]).float()
        sums: dict[str, torch.Tensor] = {}
        for batch in micro_batches:
            last = batch is micro_batches[-1]
            self.engine.set_gradient_accumulation_boundary(last)
            objective, parts = self.loss(self.engine, batch.to(device))
            self.engine.backward(objective * scale, scale_wrt_gas=False)
            for name, part in parts.items():
                sums[name] = sums.get(name, 0) + part.detach().double()
            if not last:
                self.engine.step()
        predicted, asked, *cells = counts.tolist()
        self.stopping = asked > 0
        means = dict(zip(sums, self._over_ranks(list(sums.values())), strict=True))
        means = {name: total / predicted for name, total in means.items()}
        spike: list[str] = []
        norm = self.gate.step(lambda norm: self._may_step(means["loss"], norm, spike))
        for cell, count in zip(self.tokens, cells, strict=True):
            self.tokens[cell] += int(count)
        self.last_loss = means["loss"]
        row = {
            "step": self.step + 1,
            **means,
            "tokens": sum(self.tokens.values()),
            "consumed": sum(cells),
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens_per_source": by_source(self.batches.sampler.plan, self.tokens),
        }
        if spike:
            numbers = self.batches.sequences(self.step)
            name = SKIPPED if self.section.stability.skip_spikes else "spike"
            row |= {name: spike[0], "sequences": [numbers.start, len(numbers)]}
        return row

    def _counts(self, micro_batches: list[Batch]) -> list[int]:
        """Predicted tokens of this rank's part of the step, whether it has been asked to stop, then
        tokens of each cell."""
        taken = dict.fromkeys(self.tokens, 0)
        for batch in micro_batches:
            for cell in batch.cells:
                taken[cell] += batch.tokens.shape[1]
        predicted = sum(batch.predicted for batch in micro_batches)
        return [predicted, preemption.asked_to_stop(), *taken.values()]

    def _over_ranks(self, sums: list[torch.Tensor]) -> list[float]:
        import torch
        import torch.distributed as dist

        whole = torch.stack(sums)
        dist.all_reduce(whole)
        return whole.tolist()

    def _may_step(self, loss: float, norm: float, spike: list[str]) -> bool:
        """Whether the optimizer steps; the reason is left in ``spike`` when this is one."""
        self._require_finite("loss", loss)
        self._require_finite("gradient norm", norm)
        reason = self.guard.judge(self.step + 1, loss, norm)
        if reason:
            spike.append(reason)
        return not (reason and self.section.stability.skip_spikes)

    def _require_finite(self, what: str, value: float) -> None:
        if math.isfinite(value):
            return
        numbers = self.batches.sequences(self.step)
        raise TrainingError(
            f"the {what} of step {self.step + 1} is {value} (sequences {numbers.start} to "
            f"{numbers.stop - 1} of the mixture, last loss {self.last_loss:.4f}): lower "
            f"learning_rate ({self.section.learning_rate:g}) or clip ({self.section.clip:g}), or "
            f"lengthen warmup_steps ({self.section.warmup_steps}); the checkpoints before it are "
            "good"
        )


def is_checkpoint(step: int, section: Pretrain) -> bool:
    """Whether a checkpoint is saved after step ``step`` (from 1)."""
    return step % section.checkpoint_every == 0 or step == section.steps
