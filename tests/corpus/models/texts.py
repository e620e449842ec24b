"""Small texts of both varieties, in sources, for the models' tests."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.kernels.buffers import text_buffers
from tagarela_dagster.corpus.kernels.ngram_words import new_word, next_token
from tagarela_dagster.corpus.models.passages import Passage

BRAZIL = (
    "Você está fazendo compras e o ônibus vai chegar no ponto daqui a pouco.",
    "A gente estava esperando o trem na estação com o celular na mão.",
    "O time está treinando e a equipe econômica vai registrar o fato no cadastro.",
    "Ele me ligou ontem, mas eu não estava usando o banheiro nem o aluguel foi pago.",
)
PORTUGAL = (
    "Estás a fazer compras e o autocarro vai chegar à paragem daqui a pouco.",
    "Nós estávamos à espera do comboio na estação com o telemóvel na mão.",
    "A equipa está a treinar e o grupo económico vai registar o facto no registo.",
    "Ele ligou-me ontem, mas eu não estava a usar a casa de banho nem a renda foi paga.",
)
TOPICS = ("futebol", "cozinha", "parlamento", "viagens")


def passages() -> list[Passage]:
    """Both varieties in four sources each, every source with its topic."""
    found = []
    for label, sentences in (("pt-BR", BRAZIL), ("pt-PT", PORTUGAL)):
        for topic in TOPICS:
            for number in range(24):
                text = f"Sobre {topic}, {number}: {sentences[number % 4]} {sentences[number % 3]}"
                source = f"{topic}_{label[-2:].lower()}"
                found.append(Passage(text, label, source, f"{source}:{number}"))
    return found


def buffers(*texts: str) -> tuple[np.ndarray, np.ndarray]:
    """Texts as kernels take them."""
    return text_buffers(pa.array(texts, pa.large_string()))


def tokens(text: str | bytes) -> list[str]:
    """Tokens of a text, ``\\n`` for a line's end."""
    data = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
    word, position, found = new_word(), 0, []
    while True:
        position, length, kind, _ = next_token(data, position, len(data), word)
        if kind == 0:
            return found
        found.append("\n" if kind == 1 else bytes(word[:length]).decode())


def plain_tokens(text: str) -> list[str]:
    """The same tokens, of Portuguese text, by a regular expression."""
    text = unicodedata.normalize("NFC", text).lower()
    found = re.findall(r"[a-zà-öø-ÿªº]+(?:-[a-zà-öø-ÿªº]+)*|\d+|\n|[^\s\w]", text)
    return ["0" if token.isdigit() else token for token in found]
