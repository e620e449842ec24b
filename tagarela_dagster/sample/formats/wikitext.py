"""Prose as wikitext: the apparatus that an article has, around text that stays the same."""

from __future__ import annotations

import hashlib
import re

from tagarela_dagster.sample.prose import Prose

COMMON_LINKS = ("Portugal", "Brasil", "Idade Média", "Amazônia", "Nordeste", "Europa")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_CENTURY = re.compile(r"século ([XVI]+)")
_SENTENCE_END = re.compile(r"(?<=[a-zà-ú])\. (?=[A-ZÀ-Ú])")


def article(prose: Prose, titles: set[str], heads: list[str]) -> str:
    """Wikitext of an article: infobox, bold title, links, references, table, categories."""
    paragraphs = [_linked(p, prose.title, titles) for p in prose.paragraphs]
    paragraphs[0] = _bold(paragraphs[0], prose.title)
    paragraphs[0] = _cited(
        paragraphs[0],
        '<ref name="amostra">{{citar livro |titulo=Dicionário '
        "da amostra |ano=2025 |página=12 |editora=Tagarela}}</ref>",
    )
    paragraphs[-1] = _cited(paragraphs[-1], '<ref name="amostra" />')
    body = []
    for place, paragraph in enumerate(paragraphs):
        if place and place <= len(heads):
            body.append(f"== {heads[place - 1]} ==")
        body.append(paragraph)
    first = "português de Portugal" if prose.language == "pt-PT" else "português do Brasil"
    return "\n\n".join(
        [
            f"{{{{Info/Geral\n | nome = {prose.title}\n | imagem = {prose.title}.jpg\n"
            f" | legenda = Fotografia de {prose.title}\n}}}}\n"
            f"[[Ficheiro:{prose.title} (vista).jpg|miniatura|direita|Uma vista, na luz da tarde]]\n"
            f"<!-- escrito em {first} -->",
            *body,
            "== Ver também ==\n* [[Lista de verbetes da amostra]]\n* [[Portal:Amostra]]",
            '{| class="wikitable"\n! Medida !! Valor\n|-\n| Verbetes || 24\n|-\n| Fontes || 1\n|}',
            "{{Referências}}",
            "== Ligações externas ==\n* [https://exemplo.invalid/ Página oficial]",
            "{{Portal3|Amostra}}\n[[Categoria:Amostra]]\n"
            f"[[Categoria:Verbetes em {first}]]\n[[en:{prose.title}]]",
        ]
    )


def disambiguation(title: str, targets: list[str]) -> str:
    """Wikitext of a disambiguation page."""
    name = title.removesuffix(" (desambiguação)")
    lines = "\n".join(f"* [[{target}]]" for target in targets)
    return f"'''{name}''' pode referir-se a:\n{lines}\n\n{{{{desambiguação}}}}"


def talk(article_title: str) -> str:
    """Wikitext of a talk page."""
    return (
        f"== Fonte para o segundo parágrafo ==\nAlguém tem a fonte do que se diz em "
        f"[[{article_title}]] sobre a data? Procurei na biblioteca e não encontrei. "
        "[[Usuário(a):Amostra|Amostra]] ([[Usuário(a) Discussão:Amostra|discussão]]) 10h11min de "
        "14 de março de 2026 (UTC)\n: Acrescentei uma, vê se serve."
    )


def sha1_base36(text: str) -> str:
    """SHA-1 in base 36, 31 digits, as MediaWiki writes it."""
    number, digits = int(hashlib.sha1(text.encode()).hexdigest(), 16), ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits.rjust(31, "0")


def _bold(paragraph: str, title: str) -> str:
    pattern = re.compile(re.escape(title), re.IGNORECASE)
    return pattern.sub(lambda m: f"'''{m[0]}'''", paragraph, count=1)


def _cited(paragraph: str, reference: str) -> str:
    """The reference after the first sentence, or at the end."""
    found = _SENTENCE_END.search(paragraph)
    place = found.start() + 1 if found else len(paragraph)
    return paragraph[:place] + reference + paragraph[place:]


def _linked(paragraph: str, own: str, titles: set[str]) -> str:
    """Links to other articles, to common subjects and to centuries, each once."""
    for title in sorted(titles - {own}):
        pattern = re.compile(rf"(?<![\w\[|-]){re.escape(title)}(?!\w|-)", re.IGNORECASE)
        found = pattern.search(paragraph)
        if found:
            link = _link(title, found[0])
            paragraph = paragraph[: found.start()] + link + paragraph[found.end() :]
    for name in COMMON_LINKS:
        paragraph = re.sub(rf"(?<![\w\[|-]){name}(?!\w)", f"[[{name}]]", paragraph, count=1)
    return _CENTURY.sub(r"[[século \1|século&nbsp;\1]]", paragraph, count=1)


def _link(title: str, label: str) -> str:
    return f"[[{title}]]" if label == title else f"[[{title}|{label}]]"
