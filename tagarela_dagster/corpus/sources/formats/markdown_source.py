"""What authors put into Markdown that is no Markdown: front matter, macros, JSX, directives.

Each site generator adds its own marks. They are taken out before the text is parsed, everywhere
but in fenced code (which the parser drops) and code spans (whose content stays).
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from tagarela_dagster.corpus.sources.dates import parse_date

MAX_FRONT_MATTER = 20_000
MAX_VALUE = 500
"""Characters of a front matter value that is kept."""

_FRONT = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n(.*?)\r?\n\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}(?=[^`]*$)|~{3,})")
_REFERENCES = frozenset(
    "cssxref csp domxref element event glossary htmlattrdef htmlattrxref htmlelement"
    " htmlmethod httpheader httpmethod httpstatus jsxref mathmlelement svgattr svgelement"
    " webextapiref xref".split()
)
"""Macros of MDN (mdn/yari, kumascript/macros) that stand for a word of the sentence."""

_MARK = re.compile(
    r"""
      (?P<code>(?P<ticks>`+)(?!`)[^\n]*?(?:\n[^\n]+?)*?(?<!`)(?P=ticks)(?!`))
    | <!--.*?--> | \{/\*.*?\*/\} | \{\#[^{}]*\#\}
    | \{\{(?P<macro>.{0,2000}?)\}\}
    | \{%.{0,2000}?%\}
    | \{[*!][^\n]*?[*!]\}
    | (?:(?<![ \t])[ \t]+)?\{:?[ \t]*[#.][^{}\n]*\}
    | \{:[^{}\n]*\}
    | </?[A-Z][\w.]*(?:[^<>{}"']|"[^"]*"|'[^']*'|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*>
    | \[\^[^\]\s]+\]:?
    | \[![A-Z]{3,12}\]
    | \[\[?(?:toc|TOC|_TOC_)\]\]?
    """,
    re.VERBOSE | re.DOTALL,
)
_LINE_MARK = re.compile(
    r"""
      ^[ \t]*:{3,}[^\n]*$
    | ^[ \t]*/{3,}[ \t]*(?:[\w-]+(?:[ \t]*\|[ \t]*(?P<title>[^\n]*))?)?$
    | ^[ \t]*(?:!!!|\?\?\?\+?|===)[ \t]+[^\n"]*(?:"(?P<note>[^"\n]*)")?[^\n"]*$
    | ^(?:import[ \t][^\n]*?(?:from[ \t]*)?["'][^\n]*["'];?[ \t]*$)
    | ^import[ \t]*\{[^}]*\}[ \t]*from[ \t]*["'][^\n]*$
    | ^export[ \t]+(?:const|default|function|let|var|async|class|\{)(?:[^\n]*\n(?=[^\n]*\S))*[^\n]*$
    """,
    re.VERBOSE | re.MULTILINE,
)
_MACRO = re.compile(r"\{\{([^{}]{1,300})\}\}")
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'")


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Scalar values of a YAML or TOML front matter, and the text after it.

    Unreadable front matter gives no values; it is taken out all the same.
    """
    match = _FRONT.match(text)
    if not match or len(match.group(2)) > MAX_FRONT_MATTER:
        return {}, text
    try:
        source = match.group(2).replace("\t", "  ")
        values = yaml.safe_load(source) if match.group(1) == "---" else tomllib.loads(source)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        # A text may begin with a rule, have another one later, and no front matter at all.
        looks_like_it = re.match(r"\s*[\w-]+\s*[:=]", match.group(2))
        return {}, text[match.end() :] if looks_like_it or not match.group(2).strip() else text
    return _scalars(values), text[match.end() :]


def _scalars(values: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, str):
            value = " ".join(value.split())[:MAX_VALUE]
        elif not isinstance(value, bool | int | float):
            day = parse_date(value)
            value = day.isoformat() if day else None
        if value is not None and value != "" and isinstance(key, str):
            found[key] = value
    return found


def without_marks(text: str) -> str:
    """The Markdown without macros, comments, JSX and directives; fenced code untouched."""
    pieces: list[str] = []
    prose: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if not fence and match:
            pieces.append(_clean("".join(prose)))
            prose, fence = [], match.group(1)
            pieces.append(line)
        elif fence:
            pieces.append(line)
            mark = line.strip(" \t>\r\n")
            if len(mark) >= len(fence) and not mark.strip(fence[0]):
                fence = ""
        else:
            prose.append(line)
    pieces.append(_clean("".join(prose)))
    return "".join(pieces)


def _clean(text: str) -> str:
    return _MARK.sub(_kept, _LINE_MARK.sub(_title, text))


def _title(match: re.Match[str]) -> str:
    return (match.group("title") or match.group("note") or "").strip()


def _kept(match: re.Match[str]) -> str:
    """Code spans stay as they are; a macro that stands for a word is replaced by the word."""
    if code := match.group("code"):
        return _MACRO.sub(lambda m: _word(m[1]) or m[0], code)
    macro = match.group("macro")
    return _word(macro) if macro is not None else ""


def _word(macro: str) -> str:
    name, paren, arguments = macro.strip(" <>%-").partition("(")
    if not paren or name.strip().lower() not in _REFERENCES:
        return ""
    words = [(a or b).strip() for a, b in _STRING.findall(arguments)]
    words = [word for word in words if word]
    return words[1] if len(words) > 1 else words[0] if words else ""
