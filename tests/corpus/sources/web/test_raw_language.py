"""Pages without any Portuguese are known by their bytes; nothing Portuguese is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.sources.web.raw_language import evidence
from tests.corpus.sources.web_pages import PAGE, PARAGRAPH

TEXTS = {
    "en": (
        "The library opens at nine and every day it is full of readers who come to look for novels,"
        " old newspapers and a quiet corner in which they can study before the town wakes up. "
    ),
    "es": (
        "La biblioteca abre a las nueve y recibe cada día a lectores que vienen en busca de"
        " novelas, periódicos antiguos y un rincón tranquilo para estudiar. "
    ),
    "fr": (
        "La bibliothèque ouvre à neuf heures et reçoit chaque jour des lecteurs qui viennent y"
        " chercher des romans, de vieux journaux et un coin tranquille pour étudier. "
    ),
    "it": (
        "La biblioteca apre alle nove e riceve ogni giorno lettori che vengono in cerca di romanzi,"
        " vecchi giornali e un angolo tranquillo per studiare prima che il paese si svegli. "
    ),
    "de": (
        "Die Bibliothek öffnet um neun Uhr, und jeden Tag kommen Leser, die nach Romanen und alten"
        " Zeitungen suchen und nach einer ruhigen Ecke, in der man lernen kann. "
    ),
    "ja": "図書館は九時に開き、毎日多くの読者が小説や古い新聞を探しにやって来ます。" * 5,
    "ru": "Библиотека открывается в девять часов, и каждый день сюда приходят читатели. ",
}


def page(text: str, head: str = "", menu: str = "") -> bytes:
    return f"<html><head>{head}</head><body><nav>{menu}</nav><p>{text}</p></body></html>".encode()


@pytest.mark.parametrize("language", TEXTS)
def test_a_page_in_another_language_is_known(language: str) -> None:
    assert evidence(page(TEXTS[language] * 4)).is_other


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "mac-roman", "cp850"])
def test_a_portuguese_page_goes_on_in_any_encoding(encoding: str) -> None:
    assert not evidence(page(PARAGRAPH * 4).decode().encode(encoding)).is_other


def test_character_references_are_letters() -> None:
    text = (PARAGRAPH * 3).replace("à", "&agrave;").replace("ê", "&#234;")
    assert evidence(page(text)).counts == evidence(page(PARAGRAPH * 3)).counts


def test_an_article_in_a_foreign_template_goes_on() -> None:
    found = evidence(page(PARAGRAPH * 3, menu=TEXTS["en"] * 40))
    assert found.windows > 10
    assert not found.is_other


def test_a_page_with_hardly_any_text_goes_on() -> None:
    assert not evidence(page("Welcome to our site")).is_other


def test_scripts_styles_comments_and_attributes_are_no_text() -> None:
    hidden = (
        f"<script>{TEXTS['en'] * 9}</script><STYLE>{TEXTS['en']}</STYLE><!-- {TEXTS['de']} > -->"
        f"<img alt='{TEXTS['fr']} > and'>"
    )
    assert evidence(page(PARAGRAPH, head=hidden)) == evidence(page(PARAGRAPH))


def test_a_declaration_weighs_where_the_text_says_little() -> None:
    names = "Silva Costa Santos Ferreira Pereira Oliveira Rodrigues Martins Sousa Lisboa da Foz "
    text = page(names * 8)
    declared = text.replace(b"<html>", b'<html lang="pt-PT">')
    assert evidence(text).is_other
    assert not evidence(declared).is_other
    assert not evidence(text, content_language="pt-PT, en").is_other


def test_damaged_markup_is_read_to_its_end_in_linear_time() -> None:
    for start in (b"<!--", b"<script>", b"<a href='", b"<" * 9, b"&", b"&#", b"\xe3"):
        found = evidence(start * 200_000 + page(PARAGRAPH * 4))
        assert not found.is_other, start


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            [
                b"<",
                b">",
                b"&",
                b";",
                b"<!--",
                b"-->",
                b"</script>",
                b"<script",
                b'="',
                b"\xc3",
                b"\xe2\x80",
                b"\xf0",
                b"\x00",
                b"um ",
                PAGE.encode()[:300],
            ]
        ),
        max_size=40,
    )
)
def test_no_bytes_are_too_broken_to_count(parts: list[bytes]) -> None:
    for cut in range(4):
        found = evidence(b"".join(parts)[cut:])
        assert 0 <= found.portuguese <= found.windows <= found.words + 1
