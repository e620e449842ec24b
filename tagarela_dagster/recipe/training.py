"""Training section: model shape, pretraining, supervised fine-tuning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section


class Model(Section):
    """Shape of the model, built from a transformers config."""

    architecture: Literal["llama", "gpt_neo"] = "llama"
    hidden: int = Field(default=768, ge=16)
    layers: int = Field(default=12, ge=1)
    heads: int = Field(default=12, ge=1)
    kv_heads: int | None = Field(default=None, ge=1)
    """Llama: key-value heads (grouped-query attention); none means ``heads``."""
    intermediate: int | None = Field(default=None, ge=16)
    """Feed-forward width; none means 8/3 hidden for Llama (rounded up to 64), 4 for GPT-Neo."""
    context: int = Field(default=1024, ge=32)
    """Sequence length in tokens."""
    window: int = Field(default=256, ge=8)
    """GPT-Neo: width of the local layers, which alternate with global ones."""
    tie_embeddings: bool = True

    @model_validator(mode="after")
    def _divisible(self) -> Model:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads")
        return self


class Pretrain(Section):
    """Pretraining with DeepSpeed ZeRO under torchrun."""

    steps: int = Field(default=1000, ge=1)
    processes: int = Field(default=2, ge=1)
    """World size on one machine (ranks, one a GPU; gloo on CPU)."""
    micro_batch: int = Field(default=4, ge=1)
    """Sequences a rank and a forward pass."""
    accumulation: int = Field(default=1, ge=1)
    zero_stage: Literal[0, 1, 2, 3] = 2
    precision: Literal["fp32", "bf16"] = "bf16"
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    min_learning_rate_share: float = Field(default=0.1, ge=0, le=1)
    warmup_steps: int = Field(default=100, ge=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(default=0.1, ge=0)
    """Not applied to norms, biases and embeddings."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; the last step always makes one."""
    keep_checkpoints: int = Field(default=3, ge=1)
    """Newest checkpoints whose optimizer state is kept; exported weights of all are kept."""


class Sft(Section):
    """Supervised fine-tuning with TRL and a LoRA adapter."""

    enabled: bool = True
    data: str = "sample:instruct/conversas.jsonl"
    """JSONL with ``messages`` [{role, content}]; ``sample:`` is the bundled set."""
    steps: int = Field(default=200, ge=1)
    batch: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    lora_rank: int = Field(default=16, ge=1)
    lora_alpha: int = Field(default=16, ge=1)
    max_length: int = Field(default=1024, ge=32)

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form: without the place of the data, whose hash is an input."""
        return self.model_dump(mode="json", exclude={"data"})


class Training(Section):
    """From a mixture to a model."""

    model: Model = Model()
    pretrain: Pretrain = Pretrain()
    sft: Sft = Sft()
