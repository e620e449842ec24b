"""Throughput of known shapes on a GPU: tokens/s, MFU, memory, and where the time goes.

Each shape trains in bf16 by our loop, alone on one device, in a process of its own, with the
largest micro-batch that cost/memory.py says will fit. With ``--quick``, tiny shapes take the same
way on whatever device there is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.training.profile import where
from benchmarks.training.runs import VOCABULARY, make_run
from tagarela_dagster.recipe.training import Model, Pretrain
from tagarela_dagster.training.cost.fitting import fit
from tagarela_dagster.training.cost.room import stage_setting
from tagarela_dagster.training.cost.shape import model_shape
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.launch import launch, torchrun
from tagarela_dagster.training.stage import StageRun

WARM, MEASURED, PROFILED = 4, 8, 2
CONTEXTS = (2048, 4096)
GOAL = 0.5
"""MFU of the 1B shape on an H100 or H200 (OLMo-core 39 to 41%, llm-foundry 42%)."""


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary of a shape, in place of a tokenizer; the text's tokens are the first of it."""

    size: int
    bos_token_id: int = 0
    eos_token_id: int = 0
    pad_token_id: int = 0

    def __len__(self) -> int:
        return self.size


LLAMA = {"architecture": "llama"}
NEO = {"architecture": "gpt_neo"}
SHAPES: dict[str, tuple[int, dict[str, Any]]] = {
    "Llama 160M, Tucano-160m's": (
        32_000,
        LLAMA
        | {"hidden": 768, "layers": 12, "heads": 12, "intermediate": 3072}
        | {"tie_embeddings": False},
    ),
    "GPT-Neo 1.3B, GlórIA's": (50_257, NEO | {"hidden": 2048, "layers": 24, "heads": 16}),
    "Llama 1B, Tucano-1b1's": (
        32_000,
        LLAMA
        | {"hidden": 2048, "layers": 22, "heads": 32, "kv_heads": 4, "intermediate": 5632}
        | {"tie_embeddings": False},
    ),
}
JUDGED = "Llama 1B, Tucano-1b1's"
TINY = {"hidden": 32, "layers": 2, "heads": 2}
QUICK = {"Llama, tiny": (VOCABULARY, LLAMA | TINY), "GPT-Neo, tiny": (VOCABULARY, NEO | TINY)}


def rows(quick: bool) -> Iterator[Row]:
    """Rows of this family; none without CUDA, but with ``quick``."""
    import torch

    if not quick and not torch.cuda.is_available():
        print("no CUDA: shapes are not measured")
        return
    for name, context in product(QUICK if quick else SHAPES, (64,) if quick else CONTEXTS):
        for compiled in (False, True):
            title = f"{name}, sequence {context}{', compiled' if compiled else ''}"
            try:
                found = _launched(name, context, compiled)
            except TrainingError as error:
                print(f"{title} could not be measured: {error}")
                continue
            yield from _as_rows(title, found, judged=name == JUDGED)


def _as_rows(title: str, found: dict[str, Any], judged: bool) -> Iterator[Row]:
    note = f"{found['device']}, bf16, micro-batch {found['micro_batch']}"
    note += ", activations computed again" if found["checkpointing"] else ""
    details = {"profile": found["profile"], "parameters": found["parameters"]}
    yield Row(title, found["tokens_per_second"], "tokens/s", note=note, details=details)
    if found["mfu"] is not None:
        goal: dict[str, Any] = {"target": GOAL, "judged": "value"} if judged else {}
        yield Row(f"{title}, MFU", found["mfu"], "of the dense peak", note=found["peak"], **goal)
    yield Row(
        f"{title}, memory",
        found["memory_bytes"] / 1e9,
        "GB",
        "predicted",
        found["predicted_bytes"] / 1e9,
        found["predicted_bytes"] / found["memory_bytes"],
        note="most that was allocated" if found["cuda"] else "resident",
    )


def _launched(name: str, context: int, compiled: bool) -> dict[str, Any]:
    """What one shape has measured. Raises TrainingError when it failed."""
    with tempfile.TemporaryDirectory() as folder:
        given = [folder, name, str(context), str(int(compiled))]
        run = Path(folder) / "run"
        run.mkdir()
        launch(torchrun("benchmarks.training.shapes", given, 1), run=run)
        found: dict[str, Any] = json.loads((Path(folder) / "found.json").read_text())
        return found


def measure(folder: Path, name: str, context: int, compiled: bool) -> dict[str, Any]:
    """Train a shape for some steps in this rank."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from benchmarks.training.contestants import batches_of
    from tagarela_dagster.training.cost.measured import measured_cpu
    from tagarela_dagster.training.cost.report import Meter
    from tagarela_dagster.training.models.model import build_model
    from tagarela_dagster.training.pretraining.engine import connect, start_engine
    from tagarela_dagster.training.pretraining.loop import Loop

    device = connect()
    cuda = device.type == "cuda"
    size, model = (SHAPES | QUICK)[name]
    run, predicted = _fitting(folder, size, model | {"context": context}, compiled, device)
    section, words = run.section, Vocabulary(size)
    built = build_model(run.recipe.training.model, words, 1, section.attention)  # type: ignore[arg-type]
    engine = start_engine(built, section)
    activities = [ProfilerActivity.CUDA] if cuda else [ProfilerActivity.CPU]
    profiler = profile(activities=activities)
    seconds: list[float] = []
    since = time.perf_counter()

    def on_step(row: dict[str, Any]) -> None:
        nonlocal since
        if cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - since)
        if row["step"] == WARM + MEASURED:
            profiler.start()
        since = time.perf_counter()

    Loop(engine, batches_of(run), section, [], on_step).run()
    profiler.stop()
    peak = None if cuda else measured_cpu(section.precision)
    meter = Meter(engine.module.config, section, 1, device, context=context, peak=peak)
    step = statistics.median(seconds[WARM : WARM + MEASURED])
    tokens = section.step_sequences * context
    return {
        **meter.row(tokens, step, section.steps),
        "cuda": cuda,
        "device": torch.cuda.get_device_name(device) if cuda else "CPU",
        "peak": f"of {meter.peak / 1e12:.4g} TFLOP/s" if meter.peak else meter.no_mfu,
        "micro_batch": section.micro_batch,
        "checkpointing": section.activation_checkpointing,
        "parameters": sum(p.numel() for p in built.parameters()),
        "predicted_bytes": predicted,
        "profile": where(profiler, sum(seconds[WARM + MEASURED :]), cuda),
    }


def _fitting(
    folder: Path, vocabulary: int, model: dict[str, Any], compiled: bool, device: Any
) -> tuple[StageRun, int]:
    """The run with the largest micro-batch that fits, and the bytes that it is to take.

    Raises:
        TrainingError: no micro-batch fits.
    """
    import torch

    cuda = device.type == "cuda"
    available = torch.cuda.get_device_properties(device).total_memory if cuda else 2**32
    shape = model_shape(Model.model_validate(model), vocabulary)
    for checkpointing, micro in product((False, True), (32, 16, 8, 4, 2, 1)):
        pretrain: dict[str, Any] = {
            "processes": 1,
            "micro_batch": micro,
            "steps": WARM + MEASURED + PROFILED,
            "warmup_steps": 2,
            "compile": compiled,
            "activation_checkpointing": checkpointing,
        }
        section = Pretrain.model_validate(pretrain)
        setting = stage_setting(section, shape, 1, model["context"], device.type)
        found = fit(shape, setting, available)
        if found.fits:
            return make_run(folder, model, **pretrain), found.memory.total
    raise TrainingError(f"{shape} fits into {available} bytes with no micro-batch")


def main() -> None:
    """A rank."""
    import torch.distributed as dist

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("context", type=int)
    parser.add_argument("compiled", type=int)
    given = parser.parse_args()
    found = measure(given.folder, given.name, given.context, bool(given.compiled))
    (given.folder / "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
