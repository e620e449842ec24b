"""The labels that reach the model, and which tokens see each other, with and without packing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.alignment import sft
from tagarela_dagster.training.alignment.parents import open_parent
from tagarela_dagster.training.alignment.tuning import in_order, start_work
from tests.training.alignment.tiny_chat import CONVERSATIONS, make_parent, stage_run, write_rows

pytestmark = pytest.mark.train


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[None]:
    """A world of one rank in this process."""
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    alone |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    before = dict(os.environ)
    os.environ.update(alone)
    from tagarela_dagster.training.pretraining.engine import connect

    connect()
    yield
    import gc

    import torch.distributed as dist
    from accelerate.state import AcceleratorState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    gc.collect()
    unset_hf_deepspeed_config()
    AcceleratorState._reset_state(reset_partial_state=True)
    dist.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)


def batch(folder: Path, architecture: str, **fields: Any) -> tuple[Any, dict[str, Any], Any]:
    """Trainer, first batch, and tokenizer of a run over the four conversations."""
    parent = make_parent(folder / "parent", architecture=architecture)
    rows = write_rows(folder / "c.jsonl", [{"messages": m} for m in CONVERSATIONS])
    run = stage_run(parent, rows, folder / "run", "sft", steps=1, zero_stage=0, **fields)
    run.out.mkdir()
    work = start_work(run)
    found = open_parent(run, "auto")
    sft.write_rows(rows, found, work, packing=run.section.packing)
    trainer = sft.build_trainer(run, found, sft.read_rows(work), 1, work)
    return trainer, next(iter(trainer.get_train_dataloader())), found.tokenizer


def by_hand(tokenizer: Any) -> dict[str, tuple[list[int], list[int]]]:
    """Answer -> ids and labels of its conversation, put together from the tokens of its parts."""
    fim, _, _, user, assistant = range(5)
    found = {}
    for question, answer in CONVERSATIONS:
        asked = tokenizer(question["content"], add_special_tokens=False)["input_ids"]
        said = tokenizer(answer["content"], add_special_tokens=False)["input_ids"]
        silent = [fim, user, *asked, fim, assistant]
        labels = [-100] * len(silent) + [*said, fim]
        found[answer["content"]] = ([*silent, *said, fim], labels)
    return found


def test_labels_are_the_assistants_tokens_one_by_one_and_padding_has_none(tmp_path: Path) -> None:
    _, inputs, tokenizer = batch(tmp_path, "llama", micro_batch=4)
    wanted = by_hand(tokenizer)
    lengths = inputs["attention_mask"].sum(1).tolist()
    found = [
        (ids[:n], labels[:n])
        for ids, labels, n in zip(
            inputs["input_ids"].tolist(), inputs["labels"].tolist(), lengths, strict=True
        )
    ]
    assert sorted(found) == sorted(wanted.values())
    assert (inputs["labels"][inputs["attention_mask"] == 0] == -100).all()


@pytest.mark.parametrize("architecture", ["llama", "gpt_neo"])
def test_packed_conversations_keep_their_labels_and_do_not_see_each_other(
    tmp_path: Path, architecture: str
) -> None:
    import torch

    trainer, inputs, tokenizer = batch(tmp_path, architecture, micro_batch=1, packing=True)
    assert "attention_mask" not in inputs
    ids, labels = inputs["input_ids"][0].tolist(), inputs["labels"][0].tolist()
    starts = [n for n, place in enumerate(inputs["position_ids"][0].tolist()) if place == 0]
    assert len(starts) == 4
    parts = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]
    assert sorted((ids[p], labels[p]) for p in parts) == sorted(by_hand(tokenizer).values())

    def likelihoods(given: dict[str, Any]) -> Any:
        with torch.no_grad():
            return trainer.model(**given, use_cache=False, fused_lm_head=True).log_probs[0]

    before = likelihoods(inputs)
    other = inputs["input_ids"].clone()
    other[0, parts[1].start + 2 : parts[1].stop - 1] = 77
    after = likelihoods({**inputs, "input_ids": other})
    # Entry n says how likely token n + 1 is.
    touched = range(parts[1].start, parts[1].stop - 1)
    same = [n for n in range(len(before)) if n not in touched]
    assert torch.equal(before[same], after[same])
    assert not torch.equal(before, after)


def test_which_rows_a_step_sees_depends_on_the_seed_alone() -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"n": list(range(5))})
    order = in_order(rows, 12, seed=7)["n"]
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:10]
    assert list(in_order(rows, 7, seed=7)["n"]) == list(order)[:7]
    assert list(in_order(rows, 12, seed=8)["n"]) != list(order)
