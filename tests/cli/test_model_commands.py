from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Tagarela
from tests.evals.tiny_model import write_model
from tests.resources.two_sources import PARAGRAPHS

CONTRACT = ["task", "protocol", "shots", "metric", "value", "low", "high", "items"]
ITEMS = (
    ("A menina comprou pão, leite e três ovos na padaria da esquina antes de ir à", "escola"),
    ("O eléctrico subiu a calçada devagar, e a senhora disse-lhe que não tinha", "pressa"),
    ("O ônibus atrasou, o motorista pediu desculpas e abriu a porta de", "trás"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a chat template, as fine-tuning leaves it."""
    from transformers import AutoTokenizer

    folder = write_model(tmp_path_factory.mktemp("chatty"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "itens.jsonl"
    rows = ({"sentence": sentence, "last_word": word} for sentence, word in ITEMS)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def test_evaluate_gives_rows_with_the_keys_that_programs_rely_on(
    tagarela: Tagarela, model: Path, items: Path
) -> None:
    said = tagarela("evaluate", model, "--data", items, "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)
    assert [list(row) for row in rows] == [CONTRACT] * len(rows)
    assert {(row["task"], row["protocol"], row["items"]) for row in rows} == {
        ("last_word", "gloria", 3),
        ("last_word", "tucano", 3),
    }
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert isinstance(row["shots"], int)


def test_evaluate_takes_tasks_protocols_and_a_limit(
    tagarela: Tagarela, model: Path, items: Path
) -> None:
    arguments = ("--tasks", "last_word", "--protocol", "gloria", "--limit", "2", "--json")
    rows = json.loads(tagarela("evaluate", model, "--data", items, *arguments).out)
    assert {(row["protocol"], row["items"]) for row in rows} == {("gloria", 2)}


def test_evaluate_measures_bits_per_byte_of_any_documents(
    tagarela: Tagarela, model: Path, tmp_path: Path
) -> None:
    documents = tmp_path / "textos.jsonl"
    rows = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in PARAGRAPHS[:3])
    documents.write_text("".join(rows), encoding="utf-8")
    said = tagarela("evaluate", model, "--tasks", "bits_per_byte", "--data", documents, "--json")
    [row] = json.loads(said.out)
    assert list(row) == CONTRACT
    assert (row["task"], row["metric"], row["items"]) == ("bits_per_byte", "bits_per_byte", 3)
    assert 4 < row["value"] < 9, "a random model over 320 tokens that are mostly single bytes"


def test_evaluate_for_people_shows_value_and_interval(
    tagarela: Tagarela, model: Path, items: Path
) -> None:
    said = tagarela("evaluate", model, "--data", items, "--protocol", "tucano")
    assert said.code == 0, said.err
    assert "task protocol metric value 95% interval items" in said.text
    assert "last_word tucano" in said.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tasks", "enem"), "there is no task enem; tasks: last_word, bits_per_byte"),
        (("--protocol", "llama"), "there is no protocol llama; protocols: gloria, tucano"),
        (("--data", "nada.jsonl"), "nada.jsonl does not exist: give a JSONL, CSV or Parquet file"),
        (("--data", "sample:nada.jsonl"), "/nada.jsonl does not exist: give a JSONL, CSV or"),
    ],
)
def test_evaluate_refuses_what_it_does_not_know_in_a_sentence(
    tagarela: Tagarela, model: Path, arguments: tuple[str, ...], says: str
) -> None:
    said = tagarela("evaluate", model, *arguments, "--json")
    assert says in said.sentence
    assert said.out == ""


def test_a_folder_that_is_no_model_is_a_sentence(
    tagarela: Tagarela, tmp_path: Path, items: Path
) -> None:
    for command in (("evaluate", tmp_path, "--data", items), ("chat", tmp_path, "--prompt", "Olá")):
        sentence = tagarela(*command).sentence
        assert str(tmp_path) in sentence
        assert "\n" not in sentence


def test_chat_answers_one_question_the_same_way_each_time(tagarela: Tagarela, chatty: Path) -> None:
    command = ("chat", chatty, "--prompt", "Quem comprou o pão?", "--max-tokens", "8")
    first = tagarela(*command)
    assert (first.code, first.err) == (0, "")
    assert len(first.out) > 1
    assert tagarela(*command).out == first.out


def test_chat_says_why_a_pretrained_model_cannot_chat(tagarela: Tagarela, model: Path) -> None:
    assert "has no chat template" in tagarela("chat", model, "--prompt", "Olá").sentence


def test_chat_without_a_fine_tuned_model_says_what_to_materialize(tagarela: Tagarela) -> None:
    said = tagarela("chat", "--prompt", "Olá")
    assert said.sentence == "no model of recipe sample converses yet: materialize sft"
