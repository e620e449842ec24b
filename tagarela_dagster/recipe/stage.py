"""What every stage of a training has: a parent, a layout over processes, a way to adapt weights.

A stage is an asset of its own, named in ``training.stages``. What decides its result is
fingerprinted; how its work is laid over machines is not, so that a run goes on elsewhere.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from tagarela_dagster.recipe.base import Section

BASE = "base"
"""Asset of the model that somebody else made (``training.base``)."""

Precision = Literal["fp32", "bf16"]
Method = Literal["full", "lora", "qlora"]


class Offload(Section):
    """Where ZeRO keeps what does not fit on the device."""

    optimizer: Literal["none", "cpu", "nvme"] = "none"
    """Stages 1 to 3; ``nvme`` stage 3."""
    parameters: Literal["none", "cpu", "nvme"] = "none"
    """Stage 3 only."""


class Lora(Section):
    """Low-rank adapter beside all linear layers but the head (arXiv 2106.09685, 2305.14314)."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    double_quantisation: bool = False
    """``qlora``: the blocks' scales are quantised too, 0.37 bits a weight less (arXiv 2305.14314,
    section 3)."""
    merge_onto: Literal["dequantised", "original"] = "dequantised"
    """``qlora``: weights that the adapter is added to when it is merged. It was trained beside
    the ``dequantised`` ones, so the merged model is the trained one; on the ``original`` ones it
    differs from it by the error of quantisation."""


class Stage(Section):
    """A stage of a training."""

    kind: str
    EXECUTION: ClassVar[frozenset[str]] = frozenset()
    """Fields that say how and not what; no part of the fingerprint."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Training assets whose models this one starts from."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All assets that it reads."""
        return self.parents

    @property
    def sequences(self) -> int:
        """Sequences of the mixture that it trains on."""
        return 0

    @property
    def files(self) -> dict[str, str]:
        """Files outside the lake that it reads: role -> path (``sample:NAME`` is bundled)."""
        return {}

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form: without execution, and without the place of files, whose hashes
        are inputs."""
        return self.model_dump(mode="json", exclude={*self.EXECUTION, *self.files})


class Distributed(Stage):
    """A stage that trains with DeepSpeed ZeRO on several ranks."""

    EXECUTION: ClassVar[frozenset[str]] = frozenset(
        {
            "processes",
            "micro_batch",
            "accumulation",
            "zero_stage",
            "offload",
            "activation_checkpointing",
            "compile",
            "attention",
            "checkpoint_every",
            "keep_checkpoints",
            "keep_best",
            "keep_every_tokens",
        }
    )

    processes: int = Field(default=2, ge=1)
    """World size, one rank a GPU; gloo on CPU."""
    micro_batch: int = Field(default=4, ge=1)
    """Sequences a rank and a forward pass."""
    accumulation: int = Field(default=1, ge=1)
    """Micro-batches of a rank in a step."""
    zero_stage: Literal[0, 1, 2, 3] = 2
    offload: Offload = Offload()
    precision: Precision = "bf16"
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass: memory for about a third more time."""
    compile: bool = False
    """torch.compile of the model."""
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    """``auto``: flash attention where it is installed and the device has it, else SDPA where the
    architecture has it."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; the last step always makes one."""
    keep_checkpoints: int = Field(default=3, ge=1)
    """Newest checkpoints whose optimizer state is kept; exported weights of all are kept."""
    keep_best: int = Field(default=0, ge=0)
    """Checkpoints with the lowest loss whose state is kept too."""
    keep_every_tokens: int | None = Field(default=None, ge=1)
    """The first checkpoint after each multiple of so many tokens keeps its state too."""

    @property
    def step_sequences(self) -> int:
        """Sequences of a step over all ranks and micro-batches."""
        return self.processes * self.micro_batch * self.accumulation

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form: the batch counts, its division does not."""
        return {**super().as_json(), "step_sequences": self.step_sequences}
