"""Selections without XPath give the elements, and the texts, that XPath gives."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest
import trafilatura
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from lxml.etree import XPath
from trafilatura import xpaths

from tagarela_dagster.corpus.sources.extraction import main_text
from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records
from tagarela_dagster.corpus.sources.web.selectors import EXPRESSIONS, Selector, translate
from tests.corpus.sources.web_pages import PAGE

MIRROR = Path(os.environ.get("TAGARELA_MIRROR", Path(__file__).parents[5] / "shared" / "data"))
ALL = [xpath for name in EXPRESSIONS for xpath in getattr(xpaths, name)]
# trafilatura's lists are replaced in a process that extracts; these are the originals.
ORIGINALS = [xpath for xpath in ALL if isinstance(xpath, XPath)]
VALUES = (
    "post entry articleBody article__content story-body fulltext FULLTEXT content main-content"
    " Page-Content comments commentary comment-list disqus_thread infinite-scroll teaser Teaser"
    " sidebar author byline nav subnav footer cookie x-hidden hidden display:none border bottom"
    " bottom-bar page-bottom link permalink reply-1 message navigation tags -ad- true meta"
).split()
NAMES = ("div", "p", "span", "section", "article", "main", "ul", "ol", "aside", "header", "h1")
ATTRIBUTES = ("id", "class", "style", "role", "itemprop", "aria-hidden", "data-component")


def pages() -> st.SearchStrategy[str]:
    value = st.lists(st.sampled_from(VALUES), max_size=2).map(" ".join)
    attributes = st.lists(st.tuples(st.sampled_from(ATTRIBUTES), value), max_size=3)
    tag = st.tuples(st.sampled_from(NAMES), attributes)

    def element(parts: tuple[tuple[str, list[tuple[str, str]]], list[str]]) -> str:
        (name, found), children = parts
        written = "".join(f' {key}="{text}"' for key, text in dict(found).items())
        return f"<{name}{written}>Olá, mundo. {''.join(children)}</{name}>"

    leaf = tag.map(lambda one: element((one, [])))
    nested = st.recursive(
        leaf, lambda inner: st.tuples(tag, st.lists(inner, max_size=4)).map(element), max_leaves=20
    )
    return nested.map(lambda body: f"<html><body><div>{body}</div></body></html>")


def test_all_expressions_but_the_plainest_are_translated() -> None:
    left = [xpath for xpath in ORIGINALS if not isinstance(translate(xpath), Selector)]
    assert [" ".join(xpath.path.split())[:14] for xpath in left] == [
        "(.//article)[1",
        "(.//*[self::ar",
        ".//header",
    ]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pages())
def test_a_selector_finds_what_its_expression_finds(page: str) -> None:
    tree = html.document_fromstring(page)
    for xpath in ORIGINALS:
        selector = translate(xpath)
        found, expected = selector(tree), xpath(tree)
        first = isinstance(selector, Selector) and selector.first
        assert found == (expected[:1] if first else expected), xpath.path


def test_an_expression_that_an_absent_attribute_satisfies_stays_xpath() -> None:
    space = {"re": "http://exslt.org/regular-expressions"}
    xpath = XPath(".//*[self::div][re:test(@id, 'a|')]", namespaces=space)
    assert translate(xpath) is xpath


def test_the_text_is_trafilaturas_own() -> None:
    plain = trafilatura.bare_extraction(
        PAGE, fast=True, favor_precision=True, include_comments=False
    )
    assert plain is not None and plain.text
    assert main_text(html.document_fromstring(PAGE))[0] == plain.text.strip()


@pytest.mark.mirror
def test_the_text_of_real_pages_is_trafilaturas_own() -> None:
    if not (MIRROR / "corpus").is_dir():
        pytest.skip(f"no mirror: {MIRROR} is absent; set TAGARELA_MIRROR")
    compared = 0
    for path in sorted((MIRROR / "corpus" / "web").glob("*.warc.gz")):
        for record in islice(read_records(path, 10_000_000), 1, 36, 5):
            assert isinstance(record, RawRecord)
            page = record.body.decode()
            plain = trafilatura.bare_extraction(
                page, fast=True, favor_precision=True, include_comments=False
            )
            tree = trafilatura.load_html(page)
            assert tree is not None
            assert main_text(tree)[0] == ((plain.text or "").strip() if plain else "")
            compared += 1
    assert compared > 20
