from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.alignment.chat import ChatError, reply
from tagarela_dagster.training.alignment.chat_template import (
    OURS,
    TEMPLATES,
    choose_template,
    encode,
)
from tagarela_dagster.training.alignment.parents import open_parent, with_new_tokens
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import load_tokenizer
from tests.training.alignment.tiny_chat import CONVERSATIONS, make_parent, stage_run

RULE = {"role": "system", "content": " Sê breve.\n"}
TALK = [RULE, *CONVERSATIONS[0], *CONVERSATIONS[1]]

WRITTEN = {
    "tagarela": "<|fim|><|sistema|>Sê breve.<|fim|><|usuario|>Qual é a capital de Portugal?<|fim|>"
    "<|assistente|>É Lisboa.<|fim|><|usuario|>Qual é a capital de Espanha?<|fim|>"
    "<|assistente|>É Madrid.<|fim|>",
    "llama2": "<|fim|>[INST] <<SYS>>\nSê breve.\n<</SYS>>\n\nQual é a capital de Portugal? [/INST]"
    " É Lisboa. <|fim|><|fim|>[INST] Qual é a capital de Espanha? [/INST] É Madrid. <|fim|>",
    "alpaca": "<|fim|>Sê breve.\n\n### Instrução:\nQual é a capital de Portugal?\n\n### Resposta:\n"
    "É Lisboa.<|fim|>\n\n### Instrução:\nQual é a capital de Espanha?\n\n### Resposta:\n"
    "É Madrid.<|fim|>",
    "cerbero": "<|fim|>Sê breve.\n[|Humano|] Qual é a capital de Portugal?\n[|Assistente|]"
    " É Lisboa.<|fim|>\n[|Humano|] Qual é a capital de Espanha?\n[|Assistente|] É Madrid.<|fim|>",
}
SAID = {
    "tagarela": "É Lisboa.<|fim|>É Madrid.<|fim|>",
    "llama2": " É Lisboa. <|fim|> É Madrid. <|fim|>",
    "alpaca": "É Lisboa.<|fim|>É Madrid.<|fim|>",
    "cerbero": " É Lisboa.<|fim|> É Madrid.<|fim|>",
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parent(tmp_path_factory.mktemp("parent"))


@pytest.fixture
def tokenizer(parent: Path) -> Any:
    return load_tokenizer(parent / "model")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_is_written_as_its_template_says(tokenizer: Any, name: str) -> None:
    template = TEMPLATES[name].text
    text = tokenizer.apply_chat_template(TALK, chat_template=template, tokenize=False)
    assert text == WRITTEN[name]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_loss_is_on_what_the_assistant_says_and_on_its_end(tokenizer: Any, name: str) -> None:
    ids, labels = encode(tokenizer, TALK, TEMPLATES[name].text)
    assert len(ids) == len(labels)
    assert tokenizer.decode([label for label in labels if label != -100]) == SAID[name]
    assert all(label in (-100, token) for token, label in zip(ids, labels, strict=True))


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("messages", [TALK[:2], TALK[1:2], TALK[:4]])
def test_what_a_model_is_asked_with_is_what_it_was_trained_on(
    tokenizer: Any, name: str, messages: list[dict[str, str]]
) -> None:
    template = TEMPLATES[name].text
    asked = tokenizer.apply_chat_template(
        messages, chat_template=template, add_generation_prompt=True, return_dict=False
    )
    ids, _ = encode(tokenizer, [*messages, {"role": "assistant", "content": "É Lisboa."}], template)
    assert ids[: len(asked)] == asked


def test_the_template_is_the_parents_own_or_ours_or_one_that_needs_no_tokens(
    tokenizer: Any,
) -> None:
    assert choose_template("auto", tokenizer).text == OURS.text
    with pytest.raises(TrainingError, match="no chat template: choose one"):
        choose_template("own", tokenizer)
    tokenizer.chat_template = TEMPLATES["alpaca"].text
    assert choose_template("auto", tokenizer).text == TEMPLATES["alpaca"].text
    assert "### Resposta:" in choose_template("auto", tokenizer).marks
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(TrainingError, match="does not mark what the assistant says"):
        choose_template("own", tokenizer)


def test_a_base_without_our_tokens_gets_cerberos_text_or_new_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = make_parent(tmp_path / "foreign") / "model"
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / file).read_text().replace("<|usuario|>", "<|outro|>")
        (folder / file).write_text(text)
    run = stage_run(folder.parent, tmp_path / "x", tmp_path / "run", "sft")
    assert open_parent(run, "auto").template.text == TEMPLATES["cerbero"].text
    found = open_parent(run, "tagarela")
    assert found.new_tokens == ("<|usuario|>",)
    monkeypatch.setattr("tagarela_dagster.training.alignment.parents.on_first", lambda work: work())
    resized = with_new_tokens(found, tmp_path / "work")
    size = len(AutoTokenizer.from_pretrained(resized.folder))
    model: Any = AutoModelForCausalLM.from_pretrained(resized.folder)
    assert model.get_input_embeddings().weight.shape[0] == size
    assert max(resized.role_ids.values()) == size - 1


def test_a_model_that_was_only_pretrained_cannot_chat(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(ChatError, match="has no chat template"):
        next(reply(parent / "model", CONVERSATIONS[0][:1]))
    with pytest.raises(ChatError, match="holds no config"):
        next(reply(tmp_path, CONVERSATIONS[0][:1]))
