"""What happens between the Trainer's steps: a line of metrics, a state published, a stop heard.

Built by a function, since transformers is imported in the ranks only.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

from tagarela_dagster.recipe.alignment import Tuned
from tagarela_dagster.training.adaptation.lora import local_device
from tagarela_dagster.training.alignment.states import publish_state
from tagarela_dagster.training.launching import preemption
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tracking.journal import Journal
from tagarela_dagster.training.tracking.metrics import read_metrics

logger = logging.getLogger(__name__)
RENAMED = {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "gradient_norm"}
"""The Trainer's name -> the name in metrics.jsonl; others keep theirs, with _ for /."""
LEFT_OUT = ("num_tokens", "epoch", "num_input_tokens_seen", "step_time")


def recorder(journal: Journal) -> Any:
    """Callback that writes a line of metrics a step, on rank 0, and stops on a loss that is none.

    Tokens and seconds count on from what a resumed run had.
    """
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            rows = read_metrics(journal.run.out) if state.is_world_process_zero else []
            last = rows[-1] if rows else {"tokens": 0, "seconds": 0.0}
            self.before = (int(last["tokens"]), float(last["seconds"]))
            self.started = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "loss" not in logs or not state.is_world_process_zero:
                return
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"the loss of step {state.global_step} is {logs['loss']}: lower the learning "
                    "rate, or look at the data; the states before it are whole"
                )
            tokens = self.before[0] + int(logs.get("num_tokens", 0))
            seconds = self.before[1] + time.perf_counter() - self.started
            row: dict[str, Any] = {"step": state.global_step}
            for name, value in logs.items():
                if name not in LEFT_OUT and value is not None and math.isfinite(value):
                    row[RENAMED.get(name, name.replace("/", "_"))] = float(value)
            journal.write(row | {"tokens": tokens, "seconds": round(seconds, 4)})

    return Recorder()


def keeper(run: Path, section: Tuned, layout: dict[str, int]) -> Any:
    """Callback that publishes what the Trainer saved, and ends the run when it is asked to."""
    import torch.distributed as dist
    from transformers import TrainerCallback

    class Keeper(TrainerCallback):
        stopping = False

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.stopping = preemption.all_stop(local_device())
            if self.stopping:
                control.should_save = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            dist.barrier()
            if state.is_world_process_zero:
                saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                step, keep = state.global_step, section.keep_checkpoints
                publish_state(saved, run, step, layout, keep)
            dist.barrier()
            if self.stopping and state.global_step < state.max_steps:
                raise preemption.Stopped(f"step {state.global_step}")

    return Keeper()
