"""HTML pages as the Portuguese web has them: the text, and all that is not the text.

Four designs: a news portal and a blog of today, with navigation, cookie banner, related links
and footer, and two of 2008, one of them laid out in tables throughout (``templates/*.html``).
"""

from __future__ import annotations

from html import escape
from string import Template

from tagarela_dagster.sample.formats.context import TEMPLATES


def render(
    design: str, site: str, title: str, paragraphs: list[str], day: str, lang: str, charset: str
) -> str:
    """A page; lines inside a paragraph become ``<br>``."""
    body = "\n".join(
        "<p>" + "<br>\n".join(escape(line, quote=False) for line in paragraph.split("\n")) + "</p>"
        for paragraph in paragraphs
    )
    template = Template((TEMPLATES / f"{design}.html").read_text(encoding="utf-8"))
    return template.substitute(
        site=escape(site), title=escape(title), body=body, day=day, lang=lang, charset=charset
    )


def menu_page(site: str, entries: list[str], charset: str) -> str:
    """A page that is nothing but links."""
    links = "\n".join(f'<li><a href="/{n}">{escape(e)}</a></li>' for n, e in enumerate(entries))
    return (
        f'<!DOCTYPE html>\n<html lang="pt"><head><meta charset="{charset}"><title>{escape(site)}'
        f"</title></head>\n<body><nav><ul>\n{links}\n</ul></nav></body></html>\n"
    )
