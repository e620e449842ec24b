"""TRL's SFTTrainer as this project uses it: LoRA, loss on the assistant's words alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.adaptation.lora import lora_config
from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tagarela_dagster.training.alignment.sft import FineTuning

WARMUP_SHARE = 0.1
"""Share of the steps that warm up (huggingface/alignment-handbook, recipes/zephyr-7b-beta)."""


def train_adapter(
    run: FineTuning,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Path,
    work: Path,
    max_tokens: int,
) -> dict[str, Any]:
    """Train an adapter on ``conversations`` and write it to ``work/adapter``.

    Args:
        max_tokens: no conversation is longer.

    Returns:
        steps, tokens, loss_first, loss_last, parameters (trained), seconds.
    """
    import datasets
    import torch
    import transformers
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    section = run.recipe.training.sft
    cuda = torch.cuda.is_available()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    model = AutoModelForCausalLM.from_pretrained(run.model, dtype=torch.float32)
    dataset = datasets.Dataset.from_json(str(conversations), cache_dir=str(work / "datasets"))
    settings = SFTConfig(
        output_dir=str(work / "trainer"),
        max_steps=section.steps,
        per_device_train_batch_size=section.batch,
        learning_rate=section.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(WARMUP_SHARE * section.steps),
        max_length=max_tokens,
        assistant_only_loss=True,
        seed=run.recipe.seed,
        # Saves memory for a third more time; these models fit on a CPU without it.
        gradient_checkpointing=cuda,
        use_cpu=not cuda,
        bf16=cuda,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    metrics = Metrics(run.out)
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora_config(section),
        callbacks=[_journal(metrics)],
    )
    trainer.train()
    metrics.close()
    adapted: Any = trainer.model
    adapted.save_pretrained(work / "adapter")
    _forget_paths(work / "adapter")
    tokenizer.save_pretrained(work / "adapter")
    rows = read_metrics(run.out)
    return {
        "steps": rows[-1]["step"],
        "tokens": rows[-1]["tokens"],
        "loss_first": rows[0]["loss"],
        "loss_last": rows[-1]["loss"],
        "parameters": sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        "seconds": rows[-1]["seconds"],
    }


def _forget_paths(adapter: Path) -> None:
    """Take this machine's path of the base model out of what peft wrote."""
    (adapter / "README.md").unlink(missing_ok=True)
    path = adapter / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    with atomic_write(path) as file:
        json.dump({**settings, "base_model_name_or_path": None}, file, indent=1)


def _journal(metrics: Metrics) -> Any:
    """Callback that writes a line of metrics a step."""
    from transformers import TrainerCallback

    class Journal(TrainerCallback):
        started = seconds = 0.0
        tokens = 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "loss" not in logs:
                return
            tokens = int(logs["num_tokens"])
            seconds = time.perf_counter() - self.started
            metrics.write(
                {
                    "step": state.global_step,
                    "loss": float(logs["loss"]),
                    "tokens": tokens,
                    "seconds": round(seconds, 4),
                    "learning_rate": logs["learning_rate"],
                    "gradient_norm": float(logs["grad_norm"]),
                    "tokens_per_second": round(
                        (tokens - self.tokens) / (seconds - self.seconds), 1
                    ),
                }
            )
            self.tokens, self.seconds = tokens, seconds

    return Journal()
