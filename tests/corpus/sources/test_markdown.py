"""Markdown of many site generators to plain text."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources.formats import markdown
from tagarela_dagster.corpus.sources.formats.markdown import to_text
from tests.corpus.sources.reading import read_folder

PAGE = """---
title: "O elemento `dialog`"
slug: Web/HTML/dialog
date: 2023-05-02
tags:
  - HTML
---

{{HTMLSidebar}}

# Introdução {#intro}

O elemento **`<dialog>`** representa uma [caixa de diálogo](/pt-BR/docs/dialogo "título") e
_nunca_ fica só. Veja {{domxref("HTMLDialogElement", "a interface")}}, {{jsxref("Promise")}} e
{{HTMLElement("p")}}.<!-- um comentário
de duas linhas -->

![Um esquema](esquema.png)

```html
<dialog open>{{ nada }}</dialog>
```

> [!NOTE]
> Não é para *mobile*.

- um item
- outro, com `código`
  1. dentro

| Nome | Valor |
| ---- | ----- |
| a    | 1     |

<details><summary>Mais</summary>

Texto de dentro.

</details>
"""

PLAIN = """Introdução

O elemento <dialog> representa uma caixa de diálogo e nunca fica só. Veja a interface, Promise e p.

Não é para mobile.

- um item
- outro, com código
1. dentro

Nome; Valor
a; 1

Mais

Texto de dentro."""


def test_a_page_keeps_its_words_and_loses_its_marks(tmp_path: Path) -> None:
    (tmp_path / "dialog.md").write_text(PAGE, encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.text == PLAIN
    assert document.title == "O elemento `dialog`"
    assert document.date == date(2023, 5, 2)
    assert document.meta == {"front_matter": {"slug": "Web/HTML/dialog", "date": "2023-05-02"}}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Um.\n\n{% include nota.html %}\n\nDois.", "Um.\n\nDois."),
        ('{{< figure src="x.png" >}}\n\nTexto.', "Texto."),
        ("Um título\n=========\n\nTexto.", "Um título\n\nTexto."),
        ("import X from './x';\n\nexport const a = {\n  b: 1,\n};\n\nTexto.", "Texto."),
        ("<Intro>\n\nTexto <Termo id={1}>aqui</Termo>.\n\n</Intro>", "Texto aqui."),
        ("<Diagram name='a' alt=\"b\" size={{ w: 1 }} />\n\nTexto.", "Texto."),
        ("::: tip Nota\nTexto.\n:::", "Texto."),
        ("/// note | Atenção\n\nTexto.\n\n///", "Atenção\n\nTexto."),
        ('!!! warning "Cuidado"\n    Texto.', "Cuidado Texto."),
        ("{* ../../exemplo.py hl[1] *}\n\nTexto.", "Texto."),
        ("Texto.{: .classe }\n\n{:toc}", "Texto."),
        ("Como disse[^1].\n\n[^1]: Numa nota.", "Como disse.\n\nNuma nota."),
        ("Um\n    parágrafo recuado.\n\n    Outro.", "Um parágrafo recuado.\n\nOutro."),
        ("Linha um  \nlinha dois", "Linha um\nlinha dois"),
        ("Veja [o guia][guia] e [isto](sem (destino) certo).", "Veja o guia e isto."),
        ("A classe `Vec<T>` e o tipo `Option<Casa>`.", "A classe Vec<T> e o tipo Option<Casa>."),
        ("Ana&nbsp;Sousa &amp; Filhos", "Ana Sousa & Filhos"),
        ("<p>Em <b>HTML</b>.</p>\n\n<script>\nx < 1\n</script>", "Em HTML."),
        ("<table><tr><td>Um</td><td>Dois</td></tr></table>", "Um\n\nDois"),
        ("<pre>\ncódigo\n</pre>\n\nTexto.", "Texto."),
        ("~~~\ncódigo\n~~~~\nTexto.", "Texto."),
        ("- item\n\n  ```js\n  x\n  ```\n\n  mais", "- item\nmais"),
        ("**forte **e __sub__ e 2 * 3", "forte e sub e 2 * 3"),
        ("<!-- a -->Texto<!-- b -->.", "Texto."),
        ("[[toc]]\n\n## Fim ##", "Fim"),
        ("3. três\n4. quatro", "3. três\n4. quatro"),
        ("Use `{{domxref('Node')}}` e `{{ post }}`.", "Use Node e {{ post }}."),
    ],
)
def test_marks_of_site_generators_are_taken_out(source: str, text: str) -> None:
    assert to_text(source)[0] == text


def test_the_first_heading_is_the_title_without_front_matter(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Antes.\n\n## *Um* título\n\n# Outro", encoding="utf-8")
    (document,) = read_folder("files", tmp_path).documents
    assert document.title == "Um título"
    assert document.meta == {}


def test_front_matter_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: [aberto\n---\n\nTexto.", encoding="utf-8")
    (tmp_path / "b.md").write_text("+++\ntitle = 'Em TOML'\n+++\nTexto.", encoding="utf-8")
    (tmp_path / "c.md").write_text("---\n\nSó uma régua, e um fim.\n\n---\n", encoding="utf-8")
    found = read_folder("files", tmp_path).documents
    assert [d.text for d in found] == ["Texto.", "Texto.", "Só uma régua, e um fim."]
    assert [d.title for d in found] == [None, "Em TOML", None]


def test_a_file_of_code_alone_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: x\n---\n```\nx = 1\n```\n", encoding="utf-8")
    outcome = read_folder("files", tmp_path)
    assert outcome.documents == []
    assert outcome.reasons == {"a.md byte 0": "-no_text"}


def test_comments_in_a_listing_do_not_swallow_the_text_behind_it() -> None:
    source = "```html\n<!-- aberto\n```\n\nTexto que fica.\n\n```html\nfechado -->\n```\n\nFim."
    assert to_text(source)[0] == "Texto que fica.\n\nFim."


def test_hostile_markdown_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "DEADLINE_S", 0.2)
    (tmp_path / "a.md").write_text("[" * 20_000 + "<A " * 5_000, encoding="utf-8")
    (tmp_path / "b.md").write_text("Texto.", encoding="utf-8")
    outcome = read_folder("files", tmp_path)
    assert outcome.texts == {"b.md": "Texto."}
    assert outcome.reasons == {"a.md byte 0": "deadline"}
