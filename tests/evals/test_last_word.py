from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tagarela_dagster.evals.last_word import items_of_documents, items_of_text

LONG = (
    "O eléctrico subiu a calçada devagar, muito devagar, e a senhora de luto que ia sentada à "
    "janela olhou para o rio como quem procura um barco."
)
SHORT = "Ninguém falou. A viagem foi longa."
NAME = (
    "Depois de muitas horas de viagem por estradas de terra batida, com o carro cheio de malas "
    "e de crianças, chegámos finalmente a Bragança."
)


def test_a_long_sentence_is_an_item_without_its_last_word() -> None:
    (item,) = items_of_text("d1", LONG, "pt-PT")
    assert item.sentence == LONG.removesuffix(" barco.")
    assert item.last_word == "barco"
    assert (item.id, item.group, item.variety) == ("d1/0", "d1", "pt-PT")


def test_short_sentences_join_those_before_them_up_to_twenty_words() -> None:
    text = f"{SHORT} O comboio parou três vezes antes da fronteira e ninguém saiu para a neve."
    (item,) = items_of_text("d", text)
    assert item.sentence.startswith("Ninguém falou. A viagem foi longa. O comboio")
    assert item.last_word == "neve"


def test_short_text_gives_no_item() -> None:
    assert items_of_text("d", SHORT) == []
    assert items_of_text("d", "") == []


def test_a_passage_does_not_cross_a_line() -> None:
    assert items_of_text("d", SHORT + "\nO comboio parou três vezes antes da fronteira.") == []


def test_names_numbers_short_words_and_unfinished_sentences_are_no_targets() -> None:
    stem = LONG.removesuffix("um barco.")
    for end in ("Lisboa.", "1969.", "mar.", "guarda-chuva.", "um barco", "A4.", "BARCO.", "barco:"):
        assert items_of_text("d", stem + end) == []
    assert items_of_text("d", NAME) == []


def test_closing_quotes_and_several_marks_end_a_passage() -> None:
    (item,) = items_of_text("d", LONG.removesuffix(".") + "?!…»")
    assert item.last_word == "barco"


def test_more_than_forty_five_words_are_no_item() -> None:
    assert items_of_text("d", "palavra " * 44 + "barco.") != []
    assert items_of_text("d", "palavra " * 45 + "barco.") == []


def test_a_document_gives_five_items_at_most_and_no_sentence_twice() -> None:
    words = ["barco", "vapor", "navio", "remo", "cais", "porto", "leme", "casco"]
    text = "\n".join(f"{LONG.replace('calçada', word)} Era um {word} velho." for word in words)
    items = items_of_text("d", text)
    assert len(items) == 5
    assert len({item.id for item in items}) == 5
    assert items == items_of_text("d", text)
    assert all(sum(item.sentence in other.sentence for other in items) == 1 for item in items)


def test_a_shard_of_documents_gives_the_items_of_each(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": LONG, "variety": None},
        {"id": "b", "text": SHORT, "variety": "pt-BR"},
        {"id": "c", "text": LONG.replace("barco", "navio"), "variety": "pt-BR"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "held_out.parquet")
    items = items_of_documents(tmp_path / "held_out.parquet")
    assert [(item.id, item.last_word, item.variety) for item in items] == [
        ("a/0", "barco", None),
        ("c/0", "navio", "pt-BR"),
    ]
