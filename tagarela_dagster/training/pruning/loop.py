"""Loop of a pruning: that of pretraining, with masks that learn and sources whose shares change."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.pretraining.data import Batch
from tagarela_dagster.training.pretraining.loop import Loop, Row
from tagarela_dagster.training.pretraining.losses import NextToken
from tagarela_dagster.training.pruning import hard_concrete
from tagarela_dagster.training.pruning.loading import DynamicBatches, Numbers
from tagarela_dagster.training.pruning.masks import MASK

if TYPE_CHECKING:
    import torch


class MaskedLoss:
    """Next-token loss of a masked model, plus the Lagrangian once a step.

    Args:
        masked: the engine's module (masks.py).
    """

    def __init__(self, masked: Any, z_loss: float = 0.0) -> None:
        self.masked = masked
        self.text = NextToken(masked.model, z_loss)

    def __call__(self, engine: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Objective and sums of a micro-batch at the engine's present step."""
        step = engine.global_steps
        objective, sums = self.text(functools.partial(engine, step=step), batch)
        # The loop divides by the step's tokens: their sum is the whole Lagrangian.
        penalty = self.masked.penalty * batch.predicted
        return objective + penalty, {**sums, "penalty": penalty}

    def measure(self, engine: Any, batches: list[Batch], masks: str) -> float:
        """Mean loss over all ranks' micro-batches in nats per token, without noise; every rank
        calls this."""
        import torch
        import torch.distributed as dist

        training = self.masked.training
        self.masked.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=engine.device)
        with torch.no_grad():
            for batch in batches:
                _, found = self.text(
                    functools.partial(engine, masks=masks), batch.to(engine.device)
                )
                sums[0] += found["loss"].double()
                sums[1] += batch.predicted
        self.masked.train(training)
        dist.all_reduce(sums)
        loss, tokens = sums.tolist()
        return loss / tokens


class PruneLoop(Loop):
    """Trains weights, masks and multipliers from a step on."""

    def __init__(
        self,
        engine: Any,
        batches: Any,
        section: Any,
        rows: list[Row],
        on_step: Callable[[Row], None],
        loss: MaskedLoss,
    ) -> None:
        super().__init__(engine, batches, section, rows, self._finish, loss)
        self.masked_loss = loss
        self.limits = Limits(engine)
        self._told = on_step

    def _train(self, micro_batches: list[Batch]) -> Row:
        try:
            row = super()._train(micro_batches)
            self.limits.keep()
            return row
        except BaseException:
            self._stop()
            raise

    def _finish(self, row: Row) -> None:
        """Change the shares where it is time, and tell the step's line."""
        try:
            masked = self.engine.module
            row["sought"] = {n: masked.sought(n, row["step"] - 1) for n in masked.dimensions}
            row["sparsity"] = masked.sparsities
            if isinstance(self.batches, DynamicBatches):
                self._reweight(row)
            self._told(row)
        except BaseException:
            self._stop()
            raise

    def _reweight(self, row: Row) -> None:
        batches = self.batches
        assert isinstance(batches, DynamicBatches)
        if row["step"] % batches.every == 0 and row["step"] < self.section.steps:
            started = time.perf_counter()
            losses = self.losses_by_source("expected")
            batches.change(row["step"], losses)
            taken = time.perf_counter() - started
            self.seconds += taken
            row |= {"probe_losses": losses, "probe_seconds": round(taken, 4)}
        if "probe_losses" in row or "tokens_per_cell" in row:
            row["loading"] = batches.told

    def losses_by_source(self, masks: str) -> Numbers:
        """Loss on each source's probe; every rank calls this."""
        batches = self.batches
        assert isinstance(batches, DynamicBatches)
        return {
            source: self.masked_loss.measure(self.engine, batches.probe(source), masks)
            for source in batches.probes
        }

    def _stop(self) -> None:
        if isinstance(self.batches, DynamicBatches):
            self.batches.stop()


class Limits:
    """Keeps the masks' logits where none is lost for good (hard_concrete.LIMIT): the fp32 ones that
    the optimizer has, wherever ZeRO laid them, and the model's own."""

    def __init__(self, engine: Any) -> None:
        from tagarela_dagster.training.checkpointing.partition import Partition

        self.partition = Partition(engine)
        self.flats = [
            (flat, [f for f in flat.fragments if f.parameter.startswith(MASK)])
            for flat in self.partition.flats
        ]
        self.live = [p for n, p in engine.module.named_parameters() if n.startswith(MASK)]

    def keep(self) -> None:
        """Take all logits back into the limits."""
        for flat, fragments in self.flats:
            if not fragments:
                continue
            with self.partition.held(flat, changed=True):
                values = flat.weights.detach().view(-1)
                for fragment in fragments:
                    _limit(values[fragment.start : fragment.start + fragment.count])
        for parameter in self.live:
            _limit(parameter.detach())
            if hasattr(parameter, "ds_tensor"):
                _limit(parameter.ds_tensor.detach())


def _limit(values: torch.Tensor) -> None:
    values.clamp_(-hard_concrete.LIMIT, hard_concrete.LIMIT)
