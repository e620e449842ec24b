"""What of an article's wikitext is text."""

from __future__ import annotations

import pytest

from tagarela_dagster.corpus.sources.wikitext import plain_text

ARTICLE = """{{Info/Município
| nome = Évora
| população = {{formatnum:53591}}
}}
[[Ficheiro:Évora - Templo.jpg|thumb|O [[Templo romano]] de Évora]]
'''Évora''' ({{IPA|ˈɛvuɾɐ}}) é uma [[cidade]] [[Portugal|portuguesa]], \
capital do [[Alentejo]].<ref name="a">Nota</ref> Tem \
{{formatnum:53591}}&nbsp;habitantes.<!-- 2021 -->

== História ==
Foi tomada em {{dtlink|5|10|1165}} por [[Geraldo Geraldes|''Geraldo sem Pavor'']].<ref group=n/>

=== Século XX ===
{| class="wikitable"
! Ano !! População
|-
| 1900 || 16 020
|}
* Primeiro [[item]]
** item de dentro
# numerado
* [[Ficheiro:x.png]]
; Termo: definição

== Património ==
<gallery>
Ficheiro:a.jpg|Sé
</gallery>

== Cultura ==
=== Música ===
O [https://exemplo.pt cante] é {{lang|en|world heritage}} desde o \
{{séc|XXI}}.<br />Há {{desconhecida|x}} grupos.

== Ver também ==
* [[Lista de cidades]]
=== Mais ===
* nada
== Referências ==
{{Referências}}
== Ligações externas ==
* [http://www.cm-evora.pt Câmara]
[[Categoria:Évora]]
[[en:Évora]]
"""

TEXT = """Évora é uma cidade portuguesa, capital do Alentejo. Tem 53591 habitantes.

História

Foi tomada em 5 de outubro de 1165 por Geraldo sem Pavor.

Século XX

- Primeiro item
- item de dentro
- numerado
Termo definição

Cultura

Música

O cante é world heritage desde o século XXI.
Há grupos."""


def test_an_article_becomes_its_prose_headings_and_lists() -> None:
    assert plain_text(ARTICLE) == TEXT


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("Ver [[Porto (cidade)|]] e [[:Categoria:Rios|rios]].", "Ver Porto e rios."),
        ("[[:en:Lisbon]] e [[wikt:casa|casa]]", "en:Lisbon e casa"),
        ("A [[CSI: Miami]] e [[Rio_de_Janeiro]]", "A CSI: Miami e Rio de Janeiro"),
        ("x<sup>2</sup> <nowiki>[[a]]</nowiki> <math>a^2</math>fim", "x2 a fim"),
        ("{{PEpb|facto|fato}}", "facto (português europeu) ou fato (português brasileiro)"),
        ("Em 44 {{AC}} e {{nowrap|10 km}}", "Em 44 a.C. e 10 km"),
        ("Tem {{fmtn |1234}} ou {{fmtn|12|km}}", "Tem 1234 ou 12 km"),
        ("__NOTOC__ Só isto.", "Só isto."),
        ("{{Info não fechada\n| a = b\n| c = d\nProsa depois.", "Info não fechada\nProsa depois."),
        ("A &#xD800; b &amp; c", "A b & c"),
        ("<blockquote>Um verso</blockquote>", "Um verso"),
        ("{{Citação|texto=Dito assim.}}", "Dito assim."),
        ("{{Navbox|título=x}}\n[[Categoria:Y]]", ""),
        ("== Só título ==\n== Outro ==", ""),
    ],
)
def test_pieces_of_wikitext(wikitext: str, text: str) -> None:
    assert plain_text(wikitext) == text


def test_deep_nesting_ends() -> None:
    assert isinstance(plain_text("[[a|" * 3000 + "fim" + "]]" * 3000), str)
    assert isinstance(plain_text("{{nowrap|" * 3000 + "fim" + "}}" * 3000), str)
    assert isinstance(plain_text("<div>" * 3000 + "fim"), str)
