"""The trainings that are compared: ours, a bare PyTorch loop, and the Hugging Face Trainer.

All train the same model from the same weights on the same sequences, with the same AdamW, rates,
clipping and precision, and read the loss of every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tagarela_dagster.training.pretraining import optimizers
from tagarela_dagster.training.pretraining.data import IGNORED, Batches
from tagarela_dagster.training.stage import StageRun

Done = Callable[[float], None]


def ours(run: StageRun, done: Done, rows: list[dict[str, Any]]) -> None:
    """The loop as a stage runs it: with journal, trackers, energy and checkpoints.

    Args:
        rows: is given the lines of metrics.
    """
    from tagarela_dagster.training.models.model import count_parameters, load_tokenizer
    from tagarela_dagster.training.pretraining.engine import start_engine
    from tagarela_dagster.training.pretraining.loop import Loop
    from tagarela_dagster.training.pretraining.pretrain import recorded, starting_model

    tokenizer = load_tokenizer(run.input("tokenizer"))
    model = starting_model(run, tokenizer)
    parameters = count_parameters(model)
    engine = start_engine(model, run.section)
    with recorded(run, engine, tokenizer, parameters) as record:

        def on_step(row: dict[str, Any]) -> None:
            record(row)
            rows.append(row)
            done(row["loss"])

        Loop(engine, batches_of(run), run.section, [], on_step).run()


def bare(run: StageRun, done: Done, *, chunked: bool) -> None:
    """Forward, backward, clip, step: no more than PyTorch needs; one process.

    In bf16 the weights are bf16 and the optimizer has fp32 copies of them, as with DeepSpeed.

    Args:
        chunked: take the loss as ours does (losses.py), so that only the loops differ; else of all
            logits at once, as transformers does.
    """
    import torch
    import torch.nn.functional as functional

    from tagarela_dagster.training.models.model import load_tokenizer
    from tagarela_dagster.training.pretraining.losses import NextToken
    from tagarela_dagster.training.pretraining.pretrain import starting_model

    section, batches = run.section, batches_of(run)
    model = starting_model(run, load_tokenizer(run.input("tokenizer"))).train()
    optimizer = optimizers.build_optimizer(model, section)
    copies: dict[Any, Any] = {}
    if section.precision == "bf16":
        for group in optimizer.param_groups:
            group["params"] = [_with_copy(p, copies) for p in group["params"]]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    loss_of = NextToken(model) if chunked else None
    for step in range(section.steps):
        optimizers.set_learning_rates(optimizer, section, step)
        total, micro_batches = 0.0, batches.step(step)
        predicted = sum(batch.predicted for batch in micro_batches)
        for batch in micro_batches:
            if loss_of:
                loss = loss_of(model, batch)[0] / predicted
            else:
                logits = model(
                    input_ids=batch.tokens, position_ids=batch.positions, use_cache=False
                ).logits[:, :-1]
                loss = functional.cross_entropy(
                    logits.flatten(0, 1).float(),
                    batch.targets.flatten(),
                    ignore_index=IGNORED,
                    reduction="sum",
                )
                loss = loss / predicted
            loss.backward()
            total += loss.item()
        for copy, weight in copies.items():
            copy.grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(trained, section.clip)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for copy, weight in copies.items():
                weight.copy_(copy)
        done(total)


def trainer(run: StageRun, done: Done) -> None:
    """transformers' Trainer with the DeepSpeed configuration that ours has, on all ranks.

    Its losses are of this rank's tokens, times ranks over the step's tokens: their mean over ranks
    is the step's.
    """
    import torch
    import torch.distributed as dist
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from tagarela_dagster.training.models.model import count_parameters, load_tokenizer
    from tagarela_dagster.training.pretraining.engine import engine_config
    from tagarela_dagster.training.pretraining.pretrain import starting_model

    section, world = run.section, dist.get_world_size()
    cuda = torch.cuda.is_available()
    model = starting_model(run, load_tokenizer(run.input("tokenizer")))
    optimizer = optimizers.build_optimizer(model, section)
    losses: list[float] = []

    class InTurn(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            optimizers.set_learning_rates(optimizer, section, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                done(sum(losses))
                losses.clear()

    class Same(Trainer):
        def create_optimizer(self, model: Any = None) -> Any:
            # Given to the constructor, it would be left aside where DeepSpeed is used.
            self.optimizer = optimizer
            return optimizer

        def training_step(self, *given: Any, **named: Any) -> Any:
            loss = super().training_step(*given, **named)
            losses.append(loss.item())  # what is logged is rounded
            return loss

    config = engine_config(section, count_parameters(model), world=world, cuda=cuda)
    peer = Same(
        model=model,
        args=TrainingArguments(
            output_dir=str(run.out / "trainer"),
            per_device_train_batch_size=section.micro_batch,
            gradient_accumulation_steps=section.accumulation,
            max_steps=section.steps,
            max_grad_norm=section.clip,
            lr_scheduler_type="constant",
            bf16=section.precision == "bf16",
            use_cpu=not cuda,
            deepspeed=config,
            logging_steps=1,
            save_strategy="no",
            report_to="tensorboard",
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            disable_tqdm=True,
        ),
        train_dataset=_dataset(run),
        data_collator=_stack,
        callbacks=[InTurn()],
    )
    peer.train()
    stage = peer.model_wrapped.zero_optimization_stage()
    if (peer.args.world_size, stage) != (world, section.zero_stage):
        raise RuntimeError(f"the Trainer had {peer.args.world_size} ranks and ZeRO {stage}")


def batches_of(run: StageRun) -> Batches:
    """This rank's micro-batches."""
    import torch.distributed as dist

    from tagarela_dagster.training.mixing.sampler import open_sampler

    sampler = open_sampler(run.input("mixture"), run.input("lake"))
    return Batches(sampler, run.section, dist.get_rank(), dist.get_world_size())


def _with_copy(weight: Any, copies: dict[Any, Any]) -> Any:
    import torch

    copy = torch.nn.Parameter(weight.detach().clone())
    weight.data = weight.data.to(torch.bfloat16)
    copies[copy] = weight
    return copy


def _dataset(run: StageRun) -> Any:
    """The mixture's sequences as a data set of torch."""
    import numpy as np
    import torch

    from tagarela_dagster.training.mixing.sampler import open_sampler
    from tagarela_dagster.training.pretraining.data import next_tokens

    sampler = open_sampler(run.input("mixture"), run.input("lake"))

    class Sequences(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return sampler.sequences

        def __getitem__(self, number: int) -> dict[str, Any]:
            row = sampler.sequence(number)
            tokens, positions = np.array(row.tokens)[None], np.array(row.positions)[None]
            targets = next_tokens(tokens.astype(np.int64), positions, sampler.eos)
            labels = np.concatenate([np.full((1, 1), IGNORED), targets], axis=1)
            arrays = {"input_ids": tokens, "position_ids": positions, "labels": labels}
            return {name: torch.from_numpy(a[0].astype(np.int64)) for name, a in arrays.items()}

    return Sequences()


def _stack(rows: list[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
