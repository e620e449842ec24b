"""Last-word prediction through lm-evaluation-harness: one protocol over one set of items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tagarela_dagster.evals.items import Item, write_items
from tagarela_dagster.evals.model import LoadedModel
from tagarela_dagster.evals.protocols import PROTOCOLS

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

TASKS_FOLDER = Path(__file__).parent / "tasks"
BATCH = 16


class HarnessError(RuntimeError):
    """The harness gave something else than one answer for each item."""


@dataclass(frozen=True)
class ItemResult:
    """What a model answered to one item."""

    item: Item
    generation: str
    answer: str
    correct: bool
    truncated: bool
    """True when the model's context did not hold the whole prompt, and its start was cut off."""


def harness_model(loaded: LoadedModel) -> HFLM:
    """The model in the harness's own wrapper, to be used for several tasks."""
    from lm_eval.models.huggingface import HFLM

    # Padding with the end token would count as its repetition: such a model goes one by one, so
    # that an item's score does not depend on its neighbours in the batch.
    padding = loaded.tokenizer.pad_token_id
    alone = padding is None or padding == loaded.tokenizer.eos_token_id
    return HFLM(
        pretrained=loaded.model,
        tokenizer=loaded.tokenizer,
        batch_size=1 if alone else BATCH,
        max_length=loaded.context,
    )


def predict_last_words(
    lm: HFLM, items: list[Item], protocol: str, scratch: Path
) -> list[ItemResult]:
    """Ask for the last word of each item; results in the order of ``items``.

    Args:
        scratch: folder for the harness's copy of the items.

    Raises:
        HarnessError: an item was lost, or the harness's score is not ours.
    """
    import lm_eval
    from lm_eval.tasks import TaskManager

    path = scratch / "items.jsonl"
    # Every row has the same columns, whatever is known of it.
    plain = [Item(str(n), item.sentence, item.last_word) for n, item in enumerate(items)]
    write_items(plain, path)
    name = f"last_word_{protocol}"
    # The harness reads the data's place from a task file only: one that includes ours.
    task = {
        "include": str(TASKS_FOLDER / f"{name}.yaml"),
        "dataset_kwargs": {
            "data_files": {"test": str(path)},
            "cache_dir": str(scratch / "datasets"),
        },
    }
    (scratch / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    results: Any = lm_eval.simple_evaluate(
        model=lm,
        tasks=[name],
        task_manager=TaskManager(include_path=str(scratch), include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )
    found = {int(s["doc"]["id"]): s for s in results["samples"][name]}
    if sorted(found) != list(range(len(items))):
        raise HarnessError(f"{len(items)} items went in, {len(found)} answers came out")
    scored = [_result(lm, item, found[number], protocol) for number, item in enumerate(items)]
    ours = sum(result.correct for result in scored) / len(scored)
    theirs = results["results"][name]["exact_match,none"]
    if abs(ours - theirs) > 1e-9:
        raise HarnessError(f"{name}: the harness says {theirs}, the items say {ours}")
    return scored


def _result(lm: HFLM, item: Item, sample: dict[str, Any], protocol: str) -> ItemResult:
    reading = PROTOCOLS[protocol]
    generation = sample["filtered_resps"][0]
    room = lm.max_length - reading.tokens
    return ItemResult(
        item=item,
        generation=generation,
        answer=reading.answer(generation),
        correct=reading.score(generation, item.last_word),
        truncated=len(lm.tok_encode(item.sentence)) > room,
    )
