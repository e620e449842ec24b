"""Journal articles as SciELO publishes them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tests.corpus.sources.reading import read_folder

FRONT = """<front><journal-meta><journal-title-group><journal-title>Hoehnea</journal-title>
</journal-title-group></journal-meta><article-meta>
<article-id pub-id-type="doi">10.1590/x-1</article-id>
<title-group><article-title>{title}<xref ref-type="fn" rid="f">*</xref></article-title>
<trans-title-group xml:lang="{other}"><trans-title>{other_title}</trans-title></trans-title-group>
</title-group>
<pub-date date-type="collection"><year>2022</year></pub-date>
<pub-date date-type="pub"><day>09</day><month>04</month><year>2021</year></pub-date>
<permissions><license license-type="open-access"
 xlink:href="https://creativecommons.org/licenses/by-nc/4.0/"><license-p>Livre.</license-p></license>
</permissions>
<abstract><title>{abstract}</title><p>{abstract} em si.</p></abstract>
<abstract abstract-type="graphical"><p>Um desenho.</p></abstract>
<trans-abstract xml:lang="{other}"><title>{other}</title>
<p>{other_title}, resumido.</p></trans-abstract>
<kwd-group><kwd>fetos</kwd></kwd-group></article-meta></front>"""

BODY = """<body><sec><title>Introdução</title>
<p>As samambaias<sup><xref ref-type="bibr" rid="B1">1</xref></sup> crescem na mata
 (<xref ref-type="bibr" rid="B2">Silva, 2010</xref>; <xref ref-type="fig" rid="f1">Figura 1</xref>)
 (<xref ref-type="bibr" rid="B3">3</xref>,<xref ref-type="bibr" rid="B4">4</xref>) .</p>
<fig id="f1"><label>Figura 1</label><caption><p>Uma folha.</p></caption></fig>
<table-wrap><table><tr><td>12</td></tr></table></table-wrap>
<p>A média foi de <italic>n</italic> =
 5<inline-formula><mml:math><mml:mi>q</mml:mi></mml:math></inline-formula>.</p>
<list><list-item><label>a)</label><p>um ponto</p></list-item></list></sec></body>
<back><ack><p>Obrigado.</p></ack>
<ref-list><ref><mixed-citation>Silva.</mixed-citation></ref></ref-list></back>"""


def article(language: str, front: str, rest: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.1//EN" "https://jats.nlm.nih.gov/x.dtd">
<article article-type="research-article" dtd-version="1.1" xml:lang="{language}"
 xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink"
>{front}{rest}</article>"""


def front(title: str, other: str, other_title: str, abstract: str) -> str:
    return FRONT.format(title=title, other=other, other_title=other_title, abstract=abstract)


PORTUGUESE = article("pt", front("Fetos da mata", "en", "Ferns", "Resumo"), BODY)
INTRODUCTION = (
    "Introdução\nAs samambaias crescem na mata (Silva, 2010; Figura 1).\n"
    "A média foi de n = 5.\num ponto"
)


def test_abstract_and_body_without_references_tables_and_formulas(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PORTUGUESE, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == f"Resumo\nResumo em si.\n\n{INTRODUCTION}"
    assert document.title == "Fetos da mata*"
    assert document.url == "https://doi.org/10.1590/x-1"
    assert document.date == date(2021, 4, 9)
    assert document.license == "CC-BY-NC-4.0"
    assert document.meta == {"doi": "10.1590/x-1", "journal": "Hoehnea"}


def test_a_translation_is_taken_from_an_article_in_another_language(tmp_path: Path) -> None:
    translation = (
        '<sub-article article-type="translation" xml:lang="pt"><front-stub><title-group>'
        "<article-title>Fetos</article-title></title-group><abstract><p>Breve.</p></abstract>"
        f"</front-stub>{BODY.partition('<back>')[0]}</sub-article>"
    )
    english = "<body><p>Ferns grow in the wood.</p></body>"
    source = article("en", front("Ferns", "es", "Helechos", "Abstract"), english + translation)
    (tmp_path / "a.xml").write_text(source, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == f"Breve.\n\n{INTRODUCTION}"
    assert document.title == "Fetos"


def test_at_least_the_portuguese_abstract_is_taken(tmp_path: Path) -> None:
    source = article("en", front("Ferns", "pt", "Fetos", "Abstract"), "<body><p>Ferns.</p></body>")
    (tmp_path / "a.xml").write_text(source, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert (document.title, document.text) == ("Fetos", "pt\nFetos, resumido.")


def test_articles_without_portuguese_are_left_out(tmp_path: Path) -> None:
    source = article("es", front("Helechos", "en", "Ferns", "Resumen"), BODY)
    (tmp_path / "a.xml").write_text(source, encoding="utf-8")
    (tmp_path / "b.nxml").write_text("<article xml:lang='pt'><body/></article>")
    (tmp_path / "c.nxml").write_text("<livro/>")
    outcome = read_folder("files", tmp_path)
    assert outcome.documents == []
    assert outcome.reasons == {
        "a.xml byte 0": "-other_language",
        "b.nxml byte 0": "-no_text",
        "c.nxml byte 0": "bad_xml",
    }
