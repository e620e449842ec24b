"""Memory of a rank, predicted before the start and measured after it.

DeepSpeed (0.19, runtime/zero/stage_1_and_2.py, stage3.py) keeps for P trained parameters on W
ranks, with e bytes of precision (bf16 2, fp32 4); Adam's arithmetic is ZeRO's, arXiv 1910.02054:

    stage            0             1                2           3
    weights          eP            eP               eP          eP/W
    gradients        eP            eP/W (a)         eP/W        eP/W
    fp32 copy        4P (bf16)     4P/W             4P/W        4P/W
    two moments      8P            8P/W             8P/W        8P/W
    while it steps   4P (bf16)     4P/W             4P/W        4P/W      gradients in fp32

(a) eP while micro-batches are accumulated. Frozen weights (LoRA, a teacher, a reference) are whole
on every rank but in stage 3. tests/training/cost/test_memory.py compares with two real ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tagarela_dagster.recipe.stage import Method
from tagarela_dagster.training.cost import activations
from tagarela_dagster.training.cost.flops import adapter_parameters
from tagarela_dagster.training.cost.shape import Shape

NF4_BLOCK = 64
"""Weights that share a scale (arXiv 2305.14314, section 3)."""
SCALE_BLOCK = 256
"""Scales that share one, with double quantisation."""
BUCKET = 500_000_000
"""Elements that are reduced at once (pretraining/engine.py)."""
LIVE = 1_000_000_000
"""Gathered parameters that stage 3 keeps at most (DeepSpeed, stage3_max_live_parameters)."""
FRAGMENTATION = 0.05
"""Share of what comes and goes that the caching allocator cannot use again; an assumption."""
CONTEXT_BYTES = {"cuda": int(1.5 * 2**30), "cpu": int(0.75 * 2**30)}
"""What a rank takes before its first tensor: CUDA's context and NCCL's buffers; on a CPU the
interpreter with torch, transformers and DeepSpeed. Assumptions, rounded up."""


@dataclass(frozen=True)
class Setting:
    """How one rank trains.

    Attributes:
        world: ranks.
        sequences: that each item of a micro-batch has (2 for pairs of answers).
        rank: of the adapter, for ``lora`` and ``qlora``; adapter_width: bytes of its type.
        fused: attention keeps no scores.
        loss_chunk: logits that the loss has at once (pretraining/losses.py); none means all of the
            micro-batch's.
        beside: bytes of frozen models beside the trained one (a teacher, a reference).
        muon: Muon for the matrices of the blocks, which has one moment.
    """

    world: int
    micro_batch: int
    accumulation: int
    context: int
    zero_stage: int = 2
    precision: str = "bf16"
    checkpointing: bool = False
    offload_optimizer: str = "none"
    offload_parameters: str = "none"
    method: Method = "full"
    rank: int = 0
    adapter_width: int = 4
    double_quantisation: bool = False
    fused: bool = True
    sequences: int = 1
    loss_chunk: int | None = None
    beside: int = 0
    muon: bool = False
    device: str = "cuda"

    @property
    def width(self) -> int:
        """Bytes of the precision."""
        return {"bf16": 2, "fp32": 4}[self.precision]


@dataclass(frozen=True)
class Memory:
    """Predicted bytes of one rank.

    Attributes:
        parts: what stays on the device, then what comes and goes in the backward pass.
        step: what comes and goes in the optimizer's step, instead of the latter.
        host: bytes of host memory.
    """

    parts: dict[str, int]
    passing: dict[str, int]
    step: int
    context: int
    host: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, int]:
        """All parts of the device's peak, in order; they sum up to ``total``."""
        backward = sum(self.passing.values())
        passing = self.passing if backward >= self.step else {"optimizer step": self.step}
        overhead = int(FRAGMENTATION * max(backward, self.step))
        return {**self.parts, **passing, "fragmentation": overhead, "context": self.context}

    @property
    def total(self) -> int:
        """Peak on the device."""
        return sum(self.rows.values())

    @property
    def host_total(self) -> int:
        """Peak in host memory."""
        return sum(self.host.values())


def predict(shape: Shape, setting: Setting) -> Memory:
    """Memory of each rank."""
    e, world, stage = setting.width, setting.world, setting.zero_stage
    full = setting.method == "full"
    trained = shape.parameters if full else adapter_parameters(shape, setting.rank)
    frozen = 0 if full else frozen_bytes(shape, setting)
    share = trained / (world if stage else 1)
    weights = e * trained / (world if stage == 3 else 1)
    held: float = (frozen + setting.beside) / (world if stage == 3 else 1)
    gradients = e * (trained if stage == 1 and setting.accumulation > 1 else share)
    master = 0 if stage == 0 and e == 4 else 4 * share
    muon = shape.linear if setting.muon and full else 0
    moments = 8 * share - 4 * muon * share / trained
    buckets = _buckets(trained, setting)
    gathered = e * min(shape.parameters, LIVE) if stage == 3 else 0
    tokens = setting.micro_batch * setting.sequences * setting.context
    kept = tokens * activations.whole(
        shape,
        setting.context,
        e,
        fused=setting.fused,
        checkpointing=setting.checkpointing,
        rank=setting.rank,
        adapter_width=setting.adapter_width,
    )
    logits = activations.loss(shape, tokens, e, setting.loss_chunk, head=full)
    dequantised = e * max(a * b for a, b in shape.matrices) if setting.method == "qlora" else 0
    states = master + moments
    # Each rank builds or reads its model in fp32 on the CPU (models/model.py).
    host: dict[str, float] = {"building": 4 * shape.parameters}
    if setting.offload_optimizer != "none":
        where = "host" if setting.offload_optimizer == "cpu" else "nvme"
        host |= {"optimizer": states, "gradients": 4 * share} if where == "host" else {}
        states = gradients = 0.0
    if setting.offload_parameters != "none":
        host |= {"weights": weights + held} if setting.offload_parameters == "cpu" else {}
        weights = held = 0.0
    if setting.device == "cpu":
        host = {}  # the same memory
    return Memory(
        parts=_whole(
            {
                "weights": weights,
                "frozen weights": held,
                "gradients": gradients,
                "optimizer": states,
                "buckets": buckets,
            }
        ),
        passing=_whole(
            {
                "gathered weights": gathered + dequantised,
                "activations": kept,
                "logits": logits,
            }
        ),
        step=int(4 * share) if stage or e == 2 else 0,
        context=CONTEXT_BYTES[setting.device],
        host=_whole(host),
    )


def frozen_bytes(shape: Shape, setting: Setting) -> int:
    """Bytes of the weights that an adapter stands beside.

    nf4: half a byte a weight, and for each block of 64 a scale: 4 bytes, or with double
    quantisation 1 byte and its part of a second scale. Head, embeddings and norms are fp32
    (adaptation/quantised.py).
    """
    if setting.method == "lora":
        return setting.width * shape.parameters
    scale = 1 + 4 / SCALE_BLOCK if setting.double_quantisation else 4
    rest = shape.parameters - shape.linear
    return int(shape.linear * (0.5 + scale / NF4_BLOCK)) + 4 * rest


def _buckets(trained: int, setting: Setting) -> int:
    """Buffers that gradients are reduced in; two where that goes on beside the backward pass."""
    if setting.zero_stage == 0 or setting.world == 1:
        return 0
    buffers = 2 if setting.device == "cuda" else 1
    return setting.width * min(BUCKET, trained) * buffers


def _whole(parts: dict[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in parts.items() if value}
