"""Alignment sections: instruction tuning, preferences, reward models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.stage import Distributed, Lora, Method

CHECKED_REWARDS = ("answer", "format", "language", "variety", "length")
MODEL_REWARD = "model:"


class Tuned(Distributed):
    """What fine-tunings share."""

    parent: str = "pretrain"
    data: str
    """JSONL file; ``sample:NAME`` is a bundled one."""
    method: Method = "lora"
    lora: Lora = Lora()
    steps: int | None = Field(default=200, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    """Instead of ``steps``."""
    processes: int = Field(default=1, ge=1)
    micro_batch: int = Field(default=8, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps that warm up (huggingface/alignment-handbook, zephyr-7b-beta)."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    max_length: int = Field(default=1024, ge=32)

    @model_validator(mode="after")
    def _one_length(self) -> Tuned:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs (and `steps: ~` with epochs)")
        return self

    @property
    def parents(self) -> tuple[str, ...]:
        """The model that is tuned."""
        return (self.parent,)

    @property
    def files(self) -> dict[str, str]:
        """Its data."""
        return {"data": self.data}


class Sft(Tuned):
    """Supervised fine-tuning with TRL; loss on the assistant's words alone."""

    kind: Literal["sft"] = "sft"
    data: str = "sample:instruct/conversas.jsonl"
    """JSONL with ``messages`` [{role, content}]."""
    template: Literal["auto", "own", "tagarela", "llama2", "alpaca", "cerbero"] = "auto"
    """How a conversation is written (training/alignment/chat_template.py). ``own``: as the parent's
    tokenizer says; ``auto``: that if it says so, else ``tagarela`` if it has the tokens for it,
    else ``cerbero``, which needs none."""
    packing: bool = False
    """Several conversations in one sequence, each isolated from the others."""


class Judged(Tuned):
    """What tunings share whose model answers held-out prompts before and after."""

    held_out: float = Field(default=0.25, gt=0, lt=1)
    """Share of the prompts, chosen by their hash, that are never trained on. The bundled sets are
    small; of a large one a hundredth is enough."""
    samples: int = Field(default=64, ge=1)
    """Held-out prompts that are answered, at most."""
    max_answer: int = Field(default=128, ge=1)
    """Tokens of an answer."""


class Preference(Judged):
    """Preference tuning with TRL: chosen answers over rejected ones."""

    kind: Literal["preference"] = "preference"
    data: str = "sample:instruct/preferencias.jsonl"
    """JSONL with ``prompt``, ``chosen`` and ``rejected``, each a list of messages."""
    loss: Literal["dpo", "apo_zero", "ipo"] = "dpo"
    beta: float = Field(default=0.1, gt=0)
    learning_rate: float = Field(default=5e-6, gt=0, le=1)


class Reward(Tuned):
    """A reward model: one score for a conversation, trained on pairs."""

    kind: Literal["reward"] = "reward"
    data: str = "sample:instruct/preferencias.jsonl"
    held_out: float = Field(default=0.25, gt=0, lt=1)
    """Share of the prompts, chosen by their hash, on which the accuracy is measured."""


class Grpo(Judged):
    """Group-relative policy optimisation on prompts whose answers can be checked
    (arXiv 2402.03300)."""

    kind: Literal["grpo"] = "grpo"
    data: str = "sample:instruct/verificaveis.jsonl"
    """JSONL with ``prompt`` (messages) and what its rewards need (``answer``, ``format``, …)."""
    rewards: dict[str, float] = {"answer": 1.0, "format": 0.2, "language": 0.2, "variety": 0.1}
    """Reward (training/alignment/rewards.py) -> weight; ``model:STAGE`` is the score of a reward
    model that the recipe trains."""
    group: int = Field(default=4, ge=2)
    """Answers sampled for each prompt; the answers of a step are a multiple of it."""
    temperature: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the parent."""
    learning_rate: float = Field(default=1e-6, gt=0, le=1)

    @model_validator(mode="after")
    def _rewards_are_known(self) -> Grpo:
        for name, weight in self.rewards.items():
            if name not in CHECKED_REWARDS and not name.startswith(MODEL_REWARD):
                known = ", ".join(CHECKED_REWARDS)
                raise ValueError(f"rewards.{name}: known are {known} and {MODEL_REWARD}STAGE")
            if not 0 < weight < float("inf"):
                raise ValueError(f"rewards.{name}: a weight is above 0, not {weight}")
        if not set(self.rewards) & set(CHECKED_REWARDS):
            raise ValueError("rewards: one of them must be checkable, for the gates to compare")
        if self.step_sequences % self.group:
            raise ValueError(
                f"processes x micro_batch x accumulation ({self.step_sequences}) is the number of "
                f"answers in a step and must be a multiple of group ({self.group})"
            )
        return self

    @property
    def models(self) -> dict[str, str]:
        """Rewards that are models: reward -> stage."""
        names = [name for name in self.rewards if name.startswith(MODEL_REWARD)]
        return {name: name.removeprefix(MODEL_REWARD) for name in names}

    @property
    def parents(self) -> tuple[str, ...]:
        """The model that is tuned, and the reward models."""
        return tuple(dict.fromkeys((self.parent, *self.models.values())))
