"""What all tunings share: TRL's trainers over DeepSpeed, resumed from published states.

Which rows a step sees is a function of the seed and the step alone (``in_order``), so that no
layout of ranks and micro-batches, and no resume, changes the batches.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Tuned
from tagarela_dagster.training.adaptation.lora import local_device
from tagarela_dagster.training.alignment.callbacks import keeper, recorder
from tagarela_dagster.training.alignment.states import newest_state, remove_incomplete_states
from tagarela_dagster.training.checkpointing.checkpoints import ADAPTER, MODEL
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import choose_attention
from tagarela_dagster.training.pretraining.layout import Layout, layout
from tagarela_dagster.training.tracking.journal import Journal
from tagarela_dagster.training.tracking.metrics import loss_ends, read_metrics, rewind_metrics

if TYPE_CHECKING:
    from datasets import Dataset

    from tagarela_dagster.training.stage import StageRun

logger = logging.getLogger(__name__)
WORK = ".work"
"""Folder of a run for what can be made again."""
MADE = (MODEL, ADAPTER, "samples")
"""Folders of a run that are filled when it has trained."""
CLIP = 1.0
"""Largest norm of a gradient (huggingface/alignment-handbook, recipes/zephyr-7b-beta)."""


def ranks() -> tuple[int, int]:
    """This rank, and how many there are."""
    import torch.distributed as dist

    return dist.get_rank(), dist.get_world_size()


def on_first(work: Callable[[], None]) -> None:
    """Do ``work`` on rank 0 while the others wait."""
    import torch.distributed as dist

    if dist.get_rank() == 0:
        work()
    dist.barrier()


def start_work(run: StageRun) -> Path:
    """The run's work folder, empty, and without what killed saves left; every rank calls this."""
    import datasets
    import transformers

    os.environ["TQDM_DISABLE"] = "1"
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    work = run.out / WORK

    def clear() -> None:
        # What a killed one has left in them would be given away with the next one's files; and
        # its checkpoint may be links to them, which must not be written through.
        for folder in (work, *(run.out / name for name in MADE)):
            shutil.rmtree(folder, ignore_errors=True)
        work.mkdir(parents=True)
        for name in remove_incomplete_states(run.out):
            logger.info("removed %s, which a killed save left", name)

    on_first(clear)
    return work


def steps_of(section: Tuned, rows: int) -> int:
    """Steps that the recipe asks for, given the rows to train on."""
    if section.steps is not None:
        return section.steps
    return max(1, math.ceil((section.epochs or 0) * rows / section.step_sequences))


def in_order(rows: Dataset, count: int, seed: int) -> Dataset:
    """``count`` rows in the order of training: each pass over all of them is a permutation of its
    own, drawn from the seed and the number of the pass."""
    import numpy as np

    passes = range(math.ceil(count / len(rows)))
    order = [np.random.default_rng([seed, number]).permutation(len(rows)) for number in passes]
    return rows.select(np.concatenate(order)[:count])


def arguments(run: StageRun, work: Path, steps: int, *, resumable: bool = True) -> dict[str, Any]:
    """Arguments of TRL's configurations that all tunings share."""
    import torch

    section: Tuned = run.section
    cuda = torch.cuda.is_available()
    share = layout(section, ranks()[1])
    schedule = {"constant": "constant_with_warmup"}.get(section.schedule, section.schedule)
    return {
        "output_dir": str(work / "trainer"),
        "max_steps": steps,
        "per_device_train_batch_size": share.micro_batch,
        "gradient_accumulation_steps": share.accumulation,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": schedule,
        "warmup_steps": int(section.warmup_share * steps),
        "weight_decay": 0.0,
        "max_grad_norm": CLIP,
        "optim": "adamw_torch",
        "seed": run.recipe.seed,
        "activation_checkpointing": section.activation_checkpointing,
        "use_cpu": not cuda,
        "bf16": section.precision == "bf16",
        "torch_compile": section.compile,
        "deepspeed": deepspeed_config(section, share),
        "save_strategy": "steps" if resumable else "no",
        "save_steps": section.checkpoint_every,
        "logging_steps": 1,
        # It would write the mean of other steps in the place of a loss that is no number.
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


def attention(section: Tuned, model: Path) -> str:
    """Implementation of attention for a model folder. Raises TrainingError."""
    from transformers import AutoConfig

    return choose_attention(AutoConfig.from_pretrained(model), section.attention)


def deepspeed_config(section: Tuned, share: Layout) -> dict[str, Any]:
    """DeepSpeed's configuration. Raises TrainingError for what tunings do not offer."""
    import torch

    if "nvme" in (section.offload.optimizer, section.offload.parameters):
        raise TrainingError(
            "a tuning offloads to cpu, not to nvme: an adapter's optimizer state is small; for all "
            "weights of a large model take pretrain with parent instead"
        )
    zero: dict[str, Any] = {
        "stage": section.zero_stage,
        "overlap_comm": torch.cuda.is_available(),
        "contiguous_gradients": True,
        "stage3_gather_16bit_weights_on_model_save": True,
    }
    if section.offload.optimizer == "cpu" and section.zero_stage:
        zero["offload_optimizer"] = {"device": "cpu"}
    if section.offload.parameters == "cpu" and section.zero_stage == 3:
        zero["offload_param"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": share.micro_batch,
        "gradient_accumulation_steps": share.accumulation,
        "gradient_clipping": CLIP,
        "bf16": {"enabled": section.precision == "bf16"},
        "zero_optimization": zero,
        # Adam of torch is as good beside offloaded states, and needs no compiler.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1 << 60,
    }


def fit(trainer: Any, run: StageRun) -> dict[str, Any]:
    """Train to the last step, from the newest state if there is one; every rank calls this.

    Returns:
        steps, tokens, loss_first, loss_last, parameters (trained), seconds, ranks.

    Raises:
        TrainingError: DeepSpeed does not wrap the model as configured, a state is damaged or of
            another layout, or the loss is no number.
        preemption.Stopped: the run was asked to stop, and has published a state.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config
    from transformers.trainer_callback import PrinterCallback

    section: Tuned = run.section
    rank, world = ranks()
    shards = {"world_size": world, "zero_stage": section.zero_stage}
    resumable = str(trainer.args.save_strategy.value) == "steps"
    state = newest_state(run.out, shards) if resumable else None
    if rank == 0:
        rewind_metrics(run.out, state.step if state else 0)
        if state:
            logger.info("goes on after step %d", state.step)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad and section.precision == "fp32":
            # TRL rounds the adapter of a quantised model to bf16, which engines in fp32 refuse.
            parameter.data = parameter.data.float()
    # Its lines stand in metrics.jsonl.
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_check(trainer, section, world))
    if resumable:
        trainer.add_callback(keeper(run.out, section, shards))
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    parameters = sum(getattr(p, "ds_numel", 0) or p.numel() for p in trained)
    config = trainer.model.config
    with Journal(run, config, local_device(), section.max_length) as journal:
        trainer.add_callback(recorder(journal))
        trainer.train(resume_from_checkpoint=str(state.folder) if state else None)
    # From here on models are loaded whole again, by rank 0 alone.
    unset_hf_deepspeed_config()
    rows = read_metrics(run.out) if rank == 0 else []
    if rank:
        return {}
    return {
        "steps": rows[-1]["step"],
        "tokens": rows[-1]["tokens"],
        **loss_ends(rows),
        "parameters": parameters,
        "seconds": rows[-1]["seconds"],
        "ranks": world,
    }


def _check(trainer: Any, section: Tuned, world: int) -> Any:
    """Callback that looks at what the Trainer has made of the model before the first step: it must
    never train silently without the other ranks, or without ZeRO."""
    import deepspeed
    from transformers import TrainerCallback

    class Check(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            engine = trainer.model_wrapped
            found = {"engine": isinstance(engine, deepspeed.DeepSpeedEngine)}
            if found["engine"]:
                found["ranks"] = engine.dp_world_size == world == args.world_size
                found["ZeRO stage"] = engine.zero_optimization_stage() == section.zero_stage
                found["precision"] = engine.bfloat16_enabled() == (section.precision == "bf16")
                rows = engine.train_batch_size()
                found["rows a step"] = rows == section.step_sequences
            if wrong := [name for name, right in found.items() if not right]:
                raise TrainingError(
                    f"DeepSpeed did not start as configured: {', '.join(wrong)} differ"
                )

    return Check()
