"""Gates of training stages, by kind: judged from what a stage wrote into its result."""

from __future__ import annotations

import math

from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.gates import Gate, Verdict


def loss_falls(lake: Lake, manifest: Manifest) -> Verdict:
    """The last loss is finite and below the first."""
    first, last = manifest.counts["loss_first"], manifest.counts["loss_last"]
    passed = math.isfinite(last) and last < first
    numbers = {"loss_first": round(first, 4), "loss_last": round(last, 4)}
    return Verdict(passed, f"the loss went from {first:.4f} to {last:.4f}", numbers)


STAGE_GATES: dict[str, dict[str, Gate]] = {
    "pretrain": {"loss_falls": loss_falls},
    "sft": {"loss_falls": loss_falls},
    "distill": {"loss_falls": loss_falls},
}
"""Kind of stage -> gates by name; all of them block."""
