from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.recipe import Recipe
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.alignment.chat import ChatError, reply
from tagarela_dagster.training.alignment.chat_template import TEMPLATE
from tagarela_dagster.training.alignment.sft import FineTuning, fine_tune
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.launching.run_folder import RunLock
from tagarela_dagster.training.models.model import build_model, load_tokenizer
from tagarela_dagster.training.tokens.tokenizer import train_tokenizer
from tagarela_dagster.training.tracking.metrics import read_metrics
from tests.training.tiny_run import TEXTS, tiny_recipe

CAPITALS = {"Portugal": "Lisboa", "Espanha": "Madrid", "França": "Paris", "Itália": "Roma"}
CONVERSATIONS = [
    [
        {"role": "user", "content": f"Qual é a capital de {country}?"},
        {"role": "assistant", "content": f"É {city}."},
    ]
    for country, city in CAPITALS.items()
]
SFT = {"steps": 40, "batch": 4, "learning_rate": 0.02, "lora_rank": 8, "max_length": 512}


def recipe() -> Recipe:
    values = tiny_recipe({"context": 64}).as_json()
    return Recipe.model_validate(values | {"training": values["training"] | {"sft": SFT}})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with its tokenizer."""
    folder: Path = tmp_path_factory.mktemp("base")
    texts = TEXTS + [m["content"] for c in CONVERSATIONS for m in c]
    train_tokenizer(texts, Tokenizer(vocabulary=400), folder)
    tokenizer = load_tokenizer(folder)
    build_model(recipe().training.model, tokenizer, seed=1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> FineTuning:
    folder: Path = tmp_path_factory.mktemp("sft")
    lines = [json.dumps({"messages": m}, ensure_ascii=False) for m in CONVERSATIONS]
    data = folder / "conversas.jsonl"
    data.write_text("\n".join([*lines, '{"messages": []}']), encoding="utf-8")
    run = FineTuning(recipe(), base, str(data), folder / "run")
    fine_tune(run)
    return run


def template_tokens(base: Path, messages: list[dict[str, str]], **options: Any) -> Any:
    tokenizer: Any = load_tokenizer(base)
    tokenizer.chat_template = TEMPLATE
    return tokenizer.apply_chat_template(messages, **options)


def test_the_template_opens_like_a_document_and_ends_every_turn(base: Path) -> None:
    messages = [{"role": "system", "content": " Sê breve.\n"}, *CONVERSATIONS[0]]
    assert template_tokens(base, messages, tokenize=False) == (
        "<|fim|><|sistema|>Sê breve.<|fim|><|usuario|>Qual é a capital de Portugal?<|fim|>"
        "<|assistente|>É Lisboa.<|fim|>"
    )
    prompt = template_tokens(base, CONVERSATIONS[0][:1], tokenize=False, add_generation_prompt=True)
    assert prompt == "<|fim|><|usuario|>Qual é a capital de Portugal?<|fim|><|assistente|>"


def test_the_loss_is_on_what_the_assistant_says_and_on_its_end(base: Path) -> None:
    encoded = template_tokens(
        base,
        [*CONVERSATIONS[0], *CONVERSATIONS[1]],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    tokenizer = load_tokenizer(base)
    marks = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    said = tokenizer.decode([token for token, mark in marks if mark])
    assert said == "É Lisboa.<|fim|>É Madrid.<|fim|>"


@pytest.mark.train
def test_fine_tuning_lowers_the_loss_and_leaves_its_account(tuned: FineTuning) -> None:
    rows = read_metrics(tuned.out)
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert rows[0]["loss"] == pytest.approx(5.8, abs=0.3)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.4
    result = json.loads((tuned.out / "result.json").read_text())
    assert (result["steps"], result["loss_last"]) == (40, rows[-1]["loss"])
    assert (result["conversations_kept"], result["max_tokens"]) == (4, 64)
    assert result["conversations_quarantined"] == {"no_messages": 1}


@pytest.mark.train
def test_adapter_and_merged_model_give_the_same_logits(tuned: FineTuning) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([template_tokens(tuned.model, CONVERSATIONS[0], return_dict=False)])
    base: Any = AutoModelForCausalLM.from_pretrained(tuned.model)
    merged: Any = AutoModelForCausalLM.from_pretrained(tuned.out / "merged")
    with torch.no_grad():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, tuned.out / "adapter")(input_ids=ids).logits
        whole = merged(ids).logits
    torch.testing.assert_close(adapted, whole, atol=1e-4, rtol=1e-4)
    assert (plain - whole).abs().max() > 0.1


@pytest.mark.train
def test_no_path_of_this_machine_is_published(tuned: FineTuning) -> None:
    for folder in ("adapter", "merged"):
        for path in (tuned.out / folder).iterdir():
            assert str(tuned.model).encode() not in path.read_bytes(), path.name


@pytest.mark.train
def test_a_finished_fine_tuning_does_nothing_and_its_folder_is_free(tuned: FineTuning) -> None:
    before = (tuned.out / "log.txt").read_bytes()
    assert fine_tune(tuned)["steps"] == 40
    assert (tuned.out / "log.txt").read_bytes() == before
    lock = RunLock(tuned.out)
    lock.take(wait_seconds=0)
    lock.release()
    other = FineTuning(recipe().model_copy(update={"seed": 8}), tuned.model, tuned.data, tuned.out)
    with pytest.raises(TrainingError, match=r"other settings \(seed differ\)"):
        fine_tune(other)


@pytest.mark.train
def test_the_merged_model_answers_the_same_for_the_same_seed(tuned: FineTuning) -> None:
    merged = tuned.out / "merged"
    question = CONVERSATIONS[0][:1]
    greedy = "".join(reply(merged, question, temperature=0))
    assert greedy.startswith("É ") and greedy.endswith(".")
    first, again = (list(reply(merged, question, seed=5, max_new_tokens=12)) for _ in range(2))
    assert first == again


@pytest.mark.train
def test_a_conversation_past_the_context_goes_on_without_its_oldest_turns(
    tuned: FineTuning,
) -> None:
    merged = tuned.out / "merged"
    history = [message for _ in range(20) for message in CONVERSATIONS[1]]
    options: Any = {"temperature": 0, "max_new_tokens": 8}
    assert "".join(reply(merged, [*history, CONVERSATIONS[0][0]], **options))
    with pytest.raises(ChatError, match="the question has .* tokens, the model takes"):
        next(reply(merged, [{"role": "user", "content": "palavra " * 500}], **options))


def test_a_model_that_was_only_pretrained_cannot_chat(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="has no chat template"):
        next(reply(base, CONVERSATIONS[0][:1]))
    with pytest.raises(ChatError, match="holds no config"):
        next(reply(tmp_path, CONVERSATIONS[0][:1]))


def test_missing_inputs_are_named(base: Path, tmp_path: Path) -> None:
    missing = FineTuning(recipe(), base, str(tmp_path / "nada.jsonl"), tmp_path / "run")
    with pytest.raises(TrainingError, match="nada.jsonl holds no data"):
        fine_tune(missing)
    nowhere = FineTuning(recipe(), tmp_path, str(tmp_path / "nada.jsonl"), tmp_path / "run")
    with pytest.raises(TrainingError, match="holds no model"):
        fine_tune(nowhere)
