from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tagarela_dagster.recipe.alignment import CHECKED_REWARDS, Grpo
from tagarela_dagster.sample.prose import SAMPLE
from tagarela_dagster.training.alignment.numerals import number, numbers
from tagarela_dagster.training.alignment.rewards import (
    FEW_LETTERS,
    REWARDS,
    answer,
    check_wanted,
    format_,
    language,
    length,
    score,
    variety,
)
from tagarela_dagster.training.alignment.variety import adherence, markers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Recebeu 1,00 € de troco.", ["1.00"]),
        ("O terreno tem 1.234,56 m² e custou 98 500 euros.", ["1234.56", "98500"]),
        ("Vieram 2.400 pessoas, e bebeu-se 3.5 litros cada uma.", ["2400", "3.5", "1"]),
        ("Estavam -5 graus em 1974.", ["-5", "1974"]),
        ("mil novecentos e setenta e quatro", ["1974"]),
        ("dois milhões e trezentos mil", ["2300000"]),
        ("mil milhões são um bilhão", ["1000000000", "1000000000"]),
        ("dezasseis e dezesseis", ["16", "16"]),
        ("um, dois e três", ["1", "2", "3"]),
        ("cento e vinte e uma", ["121"]),
        ("Não há números aqui.", []),
    ],
)
def test_portuguese_numbers_are_read_in_digits_and_in_words(text: str, found: list[str]) -> None:
    assert numbers(text) == [Decimal(value) for value in found]


def test_a_text_is_a_number_only_when_it_is_nothing_else() -> None:
    assert number("vinte e três.") == 23
    assert number("1 234 567") == 1234567
    assert number("uma casa") is None
    assert number("10% de 56") is None


@pytest.mark.parametrize(
    ("text", "wanted", "reward"),
    [
        ("7 × 8 = 56", "56", 1.0),
        ("São cinquenta e seis.", "56", 1.0),
        ("Custou 0,70 €.", "0,70", 1.0),
        ("Pagou 0,7 euros.", "0,70", 1.0),
        ("O resultado é 57, e não 56, mas podia ser 58.", "56", 0.5),
        ("Não sei.", "56", 0.0),
        ("A soma é 150 e a metade 75.\nResposta: 150", "150", 1.0),
        ("lisboa!", "Lisboa", 1.0),
        ("A capital de Portugal é Lisboa.", "Lisboa", 0.5),
        ("Pensei em Coimbra. Resposta final: Lisboa.", "Lisboa", 1.0),
        ("Lisboeta", "Lisboa", 0.0),
        ("Brasilia", "Brasília", 0.0),
        ("O rio Douro.", ["Douro", "o rio Douro"], 1.0),
    ],
)
def test_an_answer_is_right_whatever_its_spelling_and_half_right_among_others(
    text: str, wanted: Any, reward: float
) -> None:
    assert answer(text, {"answer": wanted}) == reward


@pytest.mark.parametrize(
    ("text", "wanted", "reward"),
    [
        (" 56 ", {"regex": r"\d+"}, 1.0),
        ("É 56.", {"regex": r"\d+"}, 0.0),
        ('{"nome": "Rita", "idade": 7}', {"json": ["nome", "idade"]}, 1.0),
        ('```json\n{"nome": "Rita", "idade": 7}\n```', {"json": ["nome", "idade"]}, 1.0),
        ('{"nome": "Rita"}', {"json": ["nome", "idade"]}, 0.5),
        ('{"nome": "Rita", "idade": 7, "x": 1}', {"json": ["nome", "idade"]}, 2 / 3),
        ('{"nome": "Rita"', {"json": ["nome"]}, 0.0),
        ("[1]", {"json": ["nome"]}, 0.0),
        ("1. Ferve a água.\n2. Põe o chá.\n3. Espera.", {"steps": 3}, 1.0),
        ("1) Ferve a água.\n2) Põe o chá.", {"steps": 3}, 0.0),
        ("Primeiro ferve a água.", {"steps": 3}, 0.0),
    ],
)
def test_a_form_is_kept_wholly_in_part_or_not(
    text: str, wanted: dict[str, Any], reward: float
) -> None:
    assert format_(text, {"format": wanted}) == pytest.approx(reward)


def test_portuguese_is_told_from_its_neighbours_and_short_answers_from_neither() -> None:
    portuguese = "O comboio partiu às oito, parou em Coimbra e chegou ao Porto às onze."
    spanish = "El tren salió a las ocho, paró en Coímbra y llegó a Oporto a las once."
    english = "The train left at eight, stopped in Coimbra and reached Porto at eleven."
    assert language(portuguese, {}) > 0.9
    assert language(spanish, {}) == language(english, {}) == 0
    # The whole text counts, not its first 80 characters.
    assert language(english * 3 + spanish, {}) == 0
    assert language("Lisboa", {}) == 0.5
    assert language(" ", {}) == 0


def sample_answers() -> list[tuple[str, str]]:
    lines = (SAMPLE / "instruct" / "conversas.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    said = [(m["content"], r["variety"]) for r in rows for m in r["messages"]]
    return [pair for pair in said if sum(c.isalpha() for c in pair[0]) >= FEW_LETTERS]


def test_every_message_of_the_sample_counts_as_portuguese_or_nearly() -> None:
    texts = [text for text, _ in sample_answers()]
    assert len(texts) > 300
    assert sum(language(text, {}) < 0.5 for text in texts) <= 4


def test_the_variety_of_an_answer_is_told_by_its_words_spelling_and_grammar() -> None:
    assert markers("O telemóvel está a carregar no frigorífico.", "pt-PT") == [
        "telemóvel",
        "está a carregar",
        "frigorífico",
    ]
    assert markers("Me liga: o ônibus do Antônio está chegando.", "pt-BR") == [
        "me liga",
        "ônibus",
        "antônio",
        "está chegando",
    ]
    assert adherence("O autocarro é económico.", "pt-PT") == 1.0
    assert adherence("O autocarro é económico.", "pt-BR") == 0.0
    assert adherence("A casa é azul.", "pt-PT") == 0.5
    assert variety("O autocarro do bebê.", {"variety": "pt-PT"}) == 0.5


def test_the_varieties_of_the_sample_are_seldom_mistaken() -> None:
    judged = [(adherence(text, name), name) for text, name in sample_answers()]
    marked = [value for value, _ in judged if value != 0.5]
    assert len(marked) > 80
    assert sum(value < 0.5 for value in marked) / len(marked) < 0.05


def test_a_length_is_paid_in_full_within_its_limits() -> None:
    limits = {"length": {"min": 4, "max": 8}}
    assert length("um dois três quatro", limits) == 1.0
    assert length("um dois", limits) == 0.5
    assert length("palavra " * 10, limits) == 0.75
    assert length("palavra " * 40, limits) == 0.0


def test_what_a_row_does_not_ask_for_is_not_rewarded() -> None:
    assert tuple(REWARDS) == CHECKED_REWARDS
    assert {name: REWARDS[name]("Lisboa", {}) for name in REWARDS} == {
        "answer": None,
        "format": None,
        "language": 0.5,
        "variety": None,
        "length": None,
    }
    weights = {"answer": 3.0, "language": 1.0, "format": 5.0, "model:juiz": 9.0}
    assert score("Lisboa", {"answer": "Lisboa"}, weights) == (3 * 1 + 1 * 0.5) / 4


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"variety": "pt-AO"}, "unknown_variety"),
        ({"format": {"xml": 1}}, "unknown_format"),
        ({"format": {"json": []}}, "unknown_format"),
        ({"format": {"regex": "("}}, "bad_regex"),
        ({"length": {"max": 0}}, "bad_length"),
        ({"answer": " "}, "empty_answer"),
    ],
)
def test_what_no_answer_could_be_checked_by_is_refused(wanted: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_wanted(wanted)


def test_a_recipe_names_rewards_that_there_are_and_models_that_are_its_parents() -> None:
    section = Grpo(rewards={"answer": 1.0, "model:juiz": 0.5})
    assert section.parents == ("pretrain", "juiz")
    assert section.models == {"model:juiz": "juiz"}
    for fields, reason in (
        ({"rewards": {"sorte": 1.0}}, "rewards.sorte: known are answer, format"),
        ({"rewards": {"model:juiz": 1.0}}, "one of them must be checkable"),
        ({"rewards": {"answer": 0.0}}, "a weight is above 0"),
        ({"micro_batch": 3, "group": 4}, r"number of answers in a step .* multiple of group"),
    ):
        with pytest.raises(ValueError, match=reason):
            Grpo.model_validate(fields)
