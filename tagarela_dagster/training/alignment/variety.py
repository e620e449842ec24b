"""Lexical markers of European and Brazilian Portuguese: a score for short answers.

This is a list of words and spellings, no model: it says nothing about a text that has none of
them, and a text may quote the other variety. The corpus has a trained classifier
(corpus/models), which needs passages longer than an answer and a graph that has trained it.

Spelling rule: before a nasal consonant that opens a syllable, stressed e and o are open in Europe
and closed in Brazil (``académico`` and ``acadêmico``, ``económico`` and ``econômico``; Acordo
Ortográfico de 1990, base XI, 3).
"""

from __future__ import annotations

import re

VARIETIES = ("pt-PT", "pt-BR")

_PT_WORDS = """
    autocarro autocarros comboio comboios telemóvel telemóveis frigorífico frigoríficos equipa
    equipas golo golos utilizador utilizadores ecrã ecrãs bebé bebés facto factos contacto
    contactos contactar contacte peões autoclismo talho talhos rapariga raparigas gelado gelados
    portagem portagens ficheiro ficheiros camisola camisolas fixe betão registo registos planear
    planeamento desporto desportos desportivo receção conceção perceção aceção chávena chávenas
    montra montras camião camiões convosco dezasseis dezassete dezanove pequeno-almoço
    guarda-redes propina propinas reformado reformados connosco húmido húmida sanita esferovite
"""
_BR_WORDS = """
    você ônibus trem trens celular celulares geladeira geladeiras gol gols usuário usuários bebê
    bebês contato contatos contatar pedestre pedestres banheiro banheiros açougue açougues
    sorvete sorvetes suco sucos pedágio pedágios planejar planejamento esporte esportes
    esportivo recepção concepção percepção acepção xícara xícaras caminhão caminhões dezesseis
    dezessete dezenove goleiro aposentado aposentados marrom conosco úmido úmida cadê moço moça
    isopor bilhão bilhões pra pro né
"""
_PATTERNS = {
    "pt-PT": (
        r"\b\w*[éó][mn][aeiouáéíóú]\w*",
        r"\b(?:estou|estás|está|estamos|estão|estava|estavam|estavas|estive|esteve) a \w+r\b",
        r"\b(?:continua|continuam|continuo|anda|andam|ando|ficou|fica|ficam) a \w+r\b",
        r"\b\w+-(?:me|te|lhe|lhes|nos|vos|mo|to|lho)\b",
        r"\bcasa de banho\b",
        r"\bpequeno[- ]almoço\b",
        r"\bmil milhões\b",
        r"\bsumo de\b",
    ),
    "pt-BR": (
        r"\b\w*[êô][mn][aeiouáéíóú]\w*",
        r"\b(?:estou|está|estamos|estão|estava|estavam|esteve|tô|tá) \w+[aei]ndo\b",
        r"\b(?:continua|continuam|continuo|anda|andam|ando|ficou|fica|ficam) \w+[aei]ndo\b",
        r"(?:^|[.!?«“\"]\s*)(?:me|te|lhe) \w+",
        r"\bcafé da manhã\b",
        r"\ba gente\b",
    ),
}
_MARKERS = {
    name: re.compile("|".join([*_PATTERNS[name], rf"\b(?:{'|'.join(words.split())})\b"]))
    for name, words in zip(VARIETIES, (_PT_WORDS, _BR_WORDS), strict=True)
}


def markers(text: str, variety: str) -> list[str]:
    """Markers of a variety in a text, in order, in lower case."""
    return [found.group(0) for found in _MARKERS[variety].finditer(text.lower())]


def adherence(text: str, variety: str) -> float:
    """Share of a text's markers that are of ``variety``, 0 to 1; 0.5 without any marker."""
    other = next(name for name in VARIETIES if name != variety)
    own, foreign = len(markers(text, variety)), len(markers(text, other))
    return own / (own + foreign) if own + foreign else 0.5
