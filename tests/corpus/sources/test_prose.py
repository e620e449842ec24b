"""Spacing, wrapping and tokens."""

from __future__ import annotations

import pytest

from tagarela_dagster.corpus.sources.prose import detokenise_line, tidy, unwrap

BOOK = """Era conveniente ao romance que o leitor ficasse muito tempo sem saber
quem era Miss Dollar. Mas por outro lado, sem a apresentação de Miss
Dollar, seria o autor obrigado a longas digressões, que encheriam o papel
sem adiantar a ação. Não há hesitação possível: vou apresentar-lhes Miss
Dollar.
Se o leitor é rapaz e dado ao gênio melancólico, imagina que Miss Dollar é
uma inglesa pálida e delgada, escassa de carnes e de sangue, abrindo à
flor do rosto dois grandes olhos azuis e sacudindo ao vento umas lon-
gas tranças loiras. A moça em questão deve ser vaporosa, disse-
lhe ele.
— Não!
— Sim, respondeu ela."""


def test_wrapped_lines_are_joined_into_paragraphs() -> None:
    lines = unwrap(BOOK).split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("Era conveniente ao romance que o leitor ficasse muito tempo sem")
    assert lines[0].endswith("vou apresentar-lhes Miss Dollar.")
    assert "umas longas tranças loiras" in lines[1]
    assert lines[1].endswith("vaporosa, disse-lhe ele.")
    assert lines[2:] == ["— Não!", "— Sim, respondeu ela."]


def test_verse_and_unwrapped_paragraphs_stay_as_they_are() -> None:
    verse = "\n".join(["As armas e os barões assinalados,", "Que da ocidental praia Lusitana,"] * 6)
    assert unwrap(verse) == verse
    paragraphs = "\n".join(["Uma frase comprida que não foi quebrada em lado nenhum. " * 6] * 12)
    assert unwrap(paragraphs) == paragraphs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("um  dois\u00a0três\t quatro ", "um dois três quatro"),
        ("fim\n\n\n\n\ncomeço", "fim\n\ncomeço"),
        ("\ufeffco\u00adração\x00\x07", "coração"),
    ],
)
def test_text_is_tidied(text: str, expected: str) -> None:
    assert tidy(text) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("A `` 'piridoxina '' ' ( vitamina B6 ) ajuda .", "A piridoxina (vitamina B6) ajuda."),
        (
            "O `` filme '' ganhou , em 1942 , dois prémios .",
            'O "filme" ganhou, em 1942, dois prémios.',
        ),
        ("— Vens ? — perguntou ele .", "— Vens? — perguntou ele."),
        ("Custou 10 % do preço da casa d ' água .", "Custou 10% do preço da casa d'água."),
    ],
)
def test_tokens_are_joined(tokens: str, expected: str) -> None:
    assert detokenise_line(tokens) == expected
