from __future__ import annotations

import pytest

from tagarela_dagster.corpus.filtering.pii import PLACEHOLDERS, Find, find
from tagarela_dagster.corpus.filtering.pii import replaced as replaced_with_finds
from tagarela_dagster.corpus.filtering.pii_forms import FORMS, NEAR
from tagarela_dagster.recipe.filtering import Pii
from tests.corpus.filtering.filter_prose import PROSE

ALL = Pii(kinds=list(PLACEHOLDERS))


def treated(text: str, section: Pii = ALL) -> tuple[str, list[Find]]:
    return replaced_with_finds(text, frozenset(section.kinds))


def replaced(text: str, section: Pii = ALL) -> str:
    return treated(text, section)[0]


@pytest.mark.parametrize("name", PROSE)
def test_prose_holds_none(name: str) -> None:
    assert treated(PROSE[name]) == (PROSE[name], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Escreva para joana.reis+luz@correio.com.pt.", "Escreva para [e-mail]."),
        ("Contato: <ze_silva@uol.com.br>", "Contato: <[e-mail]>"),
        ("O CPF 529.982.247-25 consta.", "O CPF [CPF] consta."),
        ("portador do 529.982.247-25, casado", "portador do [CPF], casado"),
        ("CPF nº 52998224725", "CPF nº [CPF]"),
        ("cpf: 529982247-25", "cpf: [CPF]"),
        ("CNPJ 11.222.333/0001-81.", "CNPJ [CNPJ]."),
        ("empresa 12.ABC.345/01DE-35", "empresa [CNPJ]"),
        ("CNPJ: 11222333000181", "CNPJ: [CNPJ]"),
        ("NIF 501 964 843", "NIF [NIF]"),
        ("contribuinte n.º 501964843,", "contribuinte n.º [NIF],"),
        ("VAT PT501964843", "VAT [NIF]"),
        ("IBAN PT50 0002 0123 1234 5678 9015 4", "IBAN [IBAN]"),
        ("PT50000201231234567890154 BANCO", "[IBAN] BANCO"),
        ("cartão 4111 1111 1111 1111 até 12/27", "cartão [cartão] até 12/27"),
        ("cartão 4111-1111-1111-1111", "cartão [cartão]"),
        ("AMEX 3782 822463 10005", "AMEX [cartão]"),
        ("nº 5555555555554444", "nº [cartão]"),
        ("ligue +351 912 345 678 já", "ligue [telefone] já"),
        ("00351 21 345 67 89", "[telefone]"),
        ("Tel.: 213 456 789", "Tel.: [telefone]"),
        ("telemóvel 912345678", "telemóvel [telefone]"),
        ("+55 (11) 91234-5678", "[telefone]"),
        ("+55 21 3234 5678", "[telefone]"),
        ("(11) 91234-5678", "[telefone]"),
        ("WhatsApp 11 91234-5678", "WhatsApp [telefone]"),
        ("o servidor 193.136.128.10 respondeu", "o servidor [IP] respondeu"),
        ("IP: 8.8.8.8", "IP: [IP]"),
        ("em 2606:4700:4700::1111 e", "em [IP] e"),
        ("CEP 01310-100", "CEP [CEP]"),
        ("Rua A, 70.610-630 Brasília", "Rua A, [CEP] Brasília"),
    ],
)
def test_personal_data_is_replaced(text: str, expected: str) -> None:
    assert replaced(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "CPF 529.982.247-26 (dígito errado)",
        "CNPJ 11.222.333/0001-82",
        "NIF 501964844",
        "PT50 0002 0123 1234 5678 9015 5",
        "cartão 4111 1111 1111 1112",
        "o processo 501964843 foi arquivado",
        "52998224725 grãos de areia",
        "código 529982247250",
        "versão 1.2.3.4 do programa",
        "ver o ponto 13.8.1.2 do edital",
        "o portátil 192.168.1.20 e o 127.0.0.1",
        "logo@2x.png e pacote @escopo/nome",
        "escreva a alice@example.com",
        "às 12:30:45 de 2001:09",
        "std::vector<int> ab::cd",
        "entre 12000-125 e 13000-200 habitantes",
        "nasceu em 21/04/1960 e morreu em 31.03.1999",
        "R$ 1.234.567,89 em 2023",
        "ISBN 978-972-0-04671-5",
        "processo n.º 0001234-56.2019.8.26.0100",
        "população: 912 345 678 pessoas",
        "artigo 123.456.789",
    ],
)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert treated(text) == (text, [])


def test_kinds_that_are_not_asked_for_are_left() -> None:
    text = "CPF 529.982.247-25, e-mail rui@sapo.pt, CEP 01310-100"
    assert replaced(text, Pii(kinds=["cpf"])) == "CPF [CPF], e-mail rui@sapo.pt, CEP 01310-100"
    assert replaced(text, Pii()) == "CPF [CPF], e-mail [e-mail], CEP 01310-100"


def test_everything_in_a_text_is_counted() -> None:
    text = "Rui (CPF 529.982.247-25), rui@sapo.pt; Ana (CPF 529.982.247-25), tel. 213456789"
    expected = "Rui (CPF [CPF]), [e-mail]; Ana (CPF [CPF]), tel. [telefone]"
    found, finds = treated(text)
    assert (found, len(finds)) == (expected, 4)


def test_placeholders_are_not_found_again() -> None:
    text = " ".join(PLACEHOLDERS.values())
    assert find(text, frozenset(PLACEHOLDERS)) == []
    assert "[e-mail]" in replaced("rui@sapo.pt") and replaced(replaced("rui@sapo.pt")) == "[e-mail]"


def test_of_two_finds_that_overlap_the_more_specific_counts() -> None:
    # The address holds a valid NIF and a phone's digits.
    text = "telefone 912345678@sapo.pt"
    assert [item.kind for item in find(text, frozenset(PLACEHOLDERS))] == ["email"]


def test_every_kind_has_forms_a_place_to_look_and_a_placeholder() -> None:
    assert set(NEAR) == set(PLACEHOLDERS) == set(FORMS) | {"iban"}


def test_hostile_texts_take_linear_time() -> None:
    # Each would take minutes with a pattern that backtracks without bound.
    for text in (
        "a" * 200_000 + "@",
        "a.b-" * 50_000 + "@" + "c." * 50_000,
        "1 " * 200_000,
        "12.345." * 50_000,
        "tel " * 50_000 + "1" * 50_000,
        "AB12 " * 60_000,
        "2001:" * 60_000,
        "(1" * 100_000,
    ):
        assert find(text, frozenset(PLACEHOLDERS)) == []
