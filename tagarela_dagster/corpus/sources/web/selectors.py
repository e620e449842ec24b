"""trafilatura's XPath expressions as Python over attributes: the same elements, sooner.

trafilatura finds frames and boilerplate by XPath with regular expressions, which lxml runs by
calling back into Python for each element and each term: a third of a page's time. Almost all of
them say "elements of these names of which an attribute's value is like this", and a page's
attributes hold few distinct values, so a table from value to answer does the same work. An
expression of any other form stays XPath (``Selector.translated`` tells), and one with a further
condition is only asked when the first one found something. That both give the same elements is
tested on real pages and on made ones (tests/corpus/sources/web/test_selectors.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from lxml import etree, html
from lxml.etree import XPath
from trafilatura import core, main_extractor, utils, xpaths

Test = Callable[[str], bool]

_SHAPE = re.compile(r"(?P<group>\(?) ?\.//\*(?:\[(?P<names>self::[^\]]*)\])?\[(?P<rest>.*)")
_ATTRIBUTE = r"@([a-z-]+)"
_QUOTED = r"'([^']*)'"
_TERMS: tuple[tuple[re.Pattern[str], Callable[..., Test]], ...] = (
    (re.compile(rf"{_ATTRIBUTE}\s*=\s*{_QUOTED}"), lambda value: lambda text: text == value),
    (
        re.compile(rf"contains\({_ATTRIBUTE}, {_QUOTED}\)"),
        lambda part: lambda text: part in text,
    ),
    (
        re.compile(rf"starts-with\({_ATTRIBUTE}, {_QUOTED}\)"),
        lambda start: lambda text: text.startswith(start),
    ),
    (
        re.compile(rf"contains\(translate\({_ATTRIBUTE}, {_QUOTED},\s*{_QUOTED}\), {_QUOTED}\)"),
        lambda old, new, part: lambda text: part in text.translate(str.maketrans(old, new)),
    ),
    (
        re.compile(rf"re:test\({_ATTRIBUTE}, {_QUOTED}(?:, {_QUOTED})?\)"),
        lambda pattern, flags: _search(pattern, flags),
    ),
)
_FIRST_OF = (
    (
        re.compile(rf"re:test\({_ATTRIBUTE}\|{_ATTRIBUTE}, {_QUOTED}\)"),
        lambda pattern: _search(pattern, None),
    ),
    (
        re.compile(rf"starts-with\({_ATTRIBUTE}\|{_ATTRIBUTE}, {_QUOTED}\)"),
        lambda start: lambda text: text.startswith(start),
    ),
)
_EXISTS = re.compile(_ATTRIBUTE)
MAX_VALUES = 20_000
"""Distinct attribute values remembered for each test; a hostile page cannot fill the memory."""


EXPRESSIONS = (
    "BODY_XPATH",
    "RAW_TREE_PRUNE_XPATH",
    "REMOVE_COMMENTS_XPATH",
    "REMOVE_COMMENTS_AND_LISTS_XPATH",
    "OVERALL_DISCARD_XPATH",
    "TEASER_DISCARD_XPATH",
    "PRECISION_DISCARD_XPATH",
)
"""trafilatura's lists of expressions that are asked for every page."""


@cache
def selectors(name: str) -> list[Any]:
    """trafilatura's list of expressions of this name, translated."""
    return [translate(xpath) for xpath in getattr(xpaths, name)]


@cache
def quicken() -> None:
    """Let trafilatura select with ``Selector`` objects in this process, from now on.

    Its parser also gets elements of one class: lxml's usual look-up calls Python for each element
    of a page, to tell forms from other elements, which trafilatura has no use for.
    """
    for module in (core, main_extractor):
        for name in EXPRESSIONS:
            if hasattr(module, name):
                setattr(module, name, selectors(name))
    make_parser: Any = html.HTMLParser  # its stubs lack an argument
    parser = make_parser(
        collect_ids=False,
        default_doctype=False,
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
    )
    parser.set_element_class_lookup(
        etree.ElementDefaultClassLookup(
            element=html.HtmlElement,
            comment=html.HtmlComment,
            pi=html.HtmlProcessingInstruction,
            entity=html.HtmlEntity,
        )
    )
    utils.HTML_PARSER = parser


class UntranslatableError(ValueError):
    """The expression has a form that only XPath can evaluate."""


@dataclass(slots=True)
class Selector:
    """What an ``XPath`` object is to trafilatura: called with an element, it gives a list.

    Attributes:
        xpath: the original expression.
        names: local names of elements to look at, ("*",) for all.
        single: attribute -> test of its value.
        pairs: (one attribute, another, test): the value of whichever stands first in the tag is
            tested, which is what XPath makes of ``@id|@class`` as a string.
        partial: the expression has a further condition, left to XPath.
        first: only the first element is asked for.
    """

    xpath: XPath
    names: tuple[str, ...]
    single: dict[str, Test]
    pairs: tuple[tuple[str, str, Test], ...]
    partial: bool
    first: bool
    _known: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __call__(self, tree: Any) -> list[Any]:
        """The elements below ``tree`` that the expression selects, in the order of the page."""
        found = self._matches(tree)
        if self.partial:
            return cast(list[Any], self.xpath(tree)) if next(found, None) is not None else []
        if self.first:
            element = next(found, None)
            return [] if element is None else [element]
        return list(found)

    def _matches(self, tree: Any) -> Iterator[Any]:
        single, known, pairs = self.single, self._known, self.pairs
        for element in tree.iterdescendants(*self.names):
            attributes = element.items()
            for item in attributes:
                if item[0] in single:
                    answer = known.get(item)
                    if answer is None:
                        answer = self._remember(item, single[item[0]](item[1]))
                    if answer:
                        yield element
                        break
            else:
                if attributes and pairs and self._pair_matches(attributes):
                    yield element

    def _pair_matches(self, attributes: list[tuple[str, str]]) -> bool:
        for one, other, test in self.pairs:
            for name, value in attributes:
                if name in (one, other):
                    key = (f"{one}|{other}", value)
                    answer = self._known.get(key)
                    if answer is None:
                        answer = self._remember(key, test(value))
                    if answer:
                        return True
                    break
        return False

    def _remember(self, key: tuple[str, str], answer: bool) -> bool:
        if len(self._known) >= MAX_VALUES:
            self._known.clear()
        self._known[key] = answer
        return answer


def translate(expression: XPath) -> Selector | XPath:
    """The expression as a ``Selector``; the expression itself where that cannot be."""
    try:
        return _translate(expression)
    except UntranslatableError:
        return expression


def _translate(expression: XPath) -> Selector:
    path = " ".join(expression.path.split())
    match = _SHAPE.fullmatch(path)
    if not match:
        raise UntranslatableError(path)
    body, tail = _predicate(match["rest"])
    only_first = tail == (")[1]" if match["group"] else "[1]")
    partial = not match["group"] and re.fullmatch(r"\[.*\]", tail) is not None and not only_first
    if tail and not only_first and not partial:
        raise UntranslatableError(path)
    single: dict[str, list[Test]] = {}
    pairs: dict[tuple[str, str], list[Test]] = {}
    present = [name for term in _terms(body) for name in _add(term, single, pairs)]
    tests = {name: _any(parts) for name, parts in single.items()}
    both = tuple((one, other, _any(parts)) for (one, other), parts in pairs.items())
    if any(test("") for test in tests.values()) or any(test("") for *_, test in both):
        # XPath takes an attribute that is not there for an empty one.
        raise UntranslatableError(f"true of an absent attribute: {path}")
    for name in present:
        tests[name] = lambda _: True
    names = tuple(re.findall(r"self::([\w-]+)", match["names"] or "")) or ("*",)
    return Selector(expression, names, tests, both, partial, only_first)


def _predicate(rest: str) -> tuple[str, str]:
    """The text up to the bracket that closes a predicate, and what follows it."""
    depth, quoted = 0, False
    for index, character in enumerate(rest):
        if character == "'":
            quoted = not quoted
        elif not quoted and character == "[":
            depth += 1
        elif not quoted and character == "]":
            if depth == 0:
                return rest[:index], rest[index + 1 :].replace(" ", "")
            depth -= 1
    raise UntranslatableError(rest)


def _terms(body: str) -> list[str]:
    """The terms that ``or`` joins at the top level."""
    parts, depth, quoted, start = [], 0, False, 0
    for index, character in enumerate(body):
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "()":
            depth += 1 if character == "(" else -1
        elif not quoted and depth == 0 and body.startswith(" or ", index):
            parts.append(body[start:index].strip())
            start = index + 4
    return [*parts, body[start:].strip()]


def _add(
    term: str, single: dict[str, list[Test]], pairs: dict[tuple[str, str], list[Test]]
) -> list[str]:
    """Note the term's test; the name of the attribute that it only wants to be there."""
    if match := _EXISTS.fullmatch(term):
        return [match.group(1)]
    for pattern, build in _TERMS:
        if match := pattern.fullmatch(term):
            single.setdefault(match.group(1), []).append(build(*match.groups()[1:]))
            return []
    for pattern, build in _FIRST_OF:
        if match := pattern.fullmatch(term):
            pairs.setdefault((match.group(1), match.group(2)), []).append(build(match.group(3)))
            return []
    raise UntranslatableError(term)


def _search(pattern: str, flags: str | None) -> Test:
    compiled = re.compile(pattern, re.IGNORECASE if flags and "i" in flags else 0)
    return lambda text: compiled.search(text) is not None


def _any(tests: list[Test]) -> Test:
    return lambda text: any(test(text) for test in tests)
