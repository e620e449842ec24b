from __future__ import annotations

import pyarrow as pa
import pytest

from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.scan import MARKS, scan
from tagarela_dagster.corpus.kernels.scan_speakers import speaker_tags


def marks(text: str) -> dict[str, int]:
    (row,) = scan(*text_buffers(pa.array([text], pa.large_string())))
    return {name: int(count) for name, count in zip(MARKS, row, strict=True) if count}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("São João, à beira do mar.", {"words": 6, "characters": 25}),
        ("desen-\nvolver", {"cut_words": 1, "words": 2, "characters": 13}),
        ("guarda-chuva -\nnovo", {"words": 3, "characters": 19}),
        ("D I Á R I O", {"damaged_words": 6, "words": 6, "characters": 11}),
        ("A E O é", {"words": 4, "characters": 7}),
        ("a1guns p0vo", {"damaged_words": 2, "words": 2, "characters": 11}),
        ("qe coraçeo terrra", {"damaged_words": 3, "words": 3, "characters": 17}),
        ("xxi iii cinqüenta H2O CO2 Iraque", {"words": 6, "characters": 32}),
        ("n\u00e3o", {"words": 1, "characters": 3}),
        ("nÃ£o Ã© â€œ", {"mojibake": 3, "words": 5, "characters": 11}),
        ("NÃO VÃO", {"words": 2, "characters": 7}),
        ("co\u00ad\u200bmum\ufeff", {"invisible": 3, "words": 1, "characters": 8}),
        ("\u202ea\u2066", {"direction": 2, "words": 1, "characters": 3}),
        ("cafe\u0301", {"combining": 1, "words": 1, "characters": 5}),
        ("\ufffd\x00\x85\t\n", {"replacement": 1, "control": 2, "characters": 5}),
        ("", {}),
    ],
)
def test_what_is_seen(text: str, expected: dict[str, int]) -> None:
    assert marks(text) == expected


def tags(text: str) -> list[str]:
    data, offsets = text_buffers(pa.array(["x", text], pa.large_string()))
    return [data[start:end].tobytes().decode() for _, start, end in speaker_tags(data, offsets).T]


@pytest.mark.parametrize(
    ("tag", "speech"),
    [
        ("O SR. PRESIDENTE (Ulysses Guimarães): – ", "Há número."),
        ("O Sr. Presidente: — ", "Tem a palavra."),
        ("A SRA. BENEDITA DA SILVA (PT – RJ): - ", "Obrigada."),
        ("- JOÃO: ", "Vamos!"),
        ("ANTÓNIO D'EÇA: ", "Não."),
    ],
)
def test_speaker_tags_are_seen_at_the_head_of_a_line(tag: str, speech: str) -> None:
    assert tags(f"Antes.\n{tag}{speech}\nDepois.") == [tag]


def test_one_tag_may_follow_another() -> None:
    assert tags("O SR. RELATOR: JOÃO: Sim.") == ["O SR. RELATOR: ", "JOÃO: "]


@pytest.mark.parametrize(
    "line",
    [
        "João: vamos!",
        "Disse O SR. PRESIDENTE: não.",
        "ARTIGO 5: todos",
        "A: b",
        "https://exemplo.pt",
        "O SR. PRESIDENTE saiu",
        "UM DOIS TRÊS QUATRO CINCO SEIS SETE OITO NOVE: dez",
    ],
)
def test_what_is_no_speaker_tag(line: str) -> None:
    assert tags(line) == []
