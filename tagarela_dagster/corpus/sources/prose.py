"""Small repairs that turn extracted characters into running text: spacing, wrapping, tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufeff\ufffe\uffff]")
# Sets and literals, which ``re`` looks for several times faster than for alternatives.
_LINE_END = re.compile(r"[\r\x0c\x85\u2028\u2029]")
_SPACE = re.compile(r"[\t\u00a0\u2000-\u200a\u202f\u3000]")
_SPACES = re.compile(r"  +")
_BLANK_LINES = re.compile(r"\n{3,}")
_HYPHENATED = re.compile(r"[^\W\d_]-$")
_ENDS = re.compile(r"[.!?:;…»”\")\]]$")
_LIST = re.compile(r"^\s*(?:[-–—•*·]\s|\d{1,3}[.)ºª]|[a-z]\)|[IVXLC]+\s?[-–—.)])")
_CLITICS = frozenset(
    "me te se o a os as lhe lhes nos vos lo la los las no na mo ma to ta lho lha lhos lhas".split()
)

WRAP_WIDTHS = (40, 130)
"""Characters between which a text's usual full line lies when it is hard-wrapped."""


def tidy(text: str) -> str:
    """Plain line ends and spaces, no control characters or soft hyphens, no third blank line."""
    text = _LINE_END.sub("\n", text.replace("\r\n", "\n")).replace("\u00ad", "")
    text = _SPACES.sub(" ", _SPACE.sub(" ", _CONTROL.sub("", text)))
    text = "\n".join([line.strip() for line in text.split("\n")])
    return (_BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def one_line(text: str | None) -> str:
    """All white space as single spaces."""
    return " ".join(text.split()) if text else ""


def unwrap(text: str) -> str:
    """Join lines that were broken at a fixed width (books from PDF, gazettes, plain-text mail).

    A line goes on in the next one when the next line's first word would not have fitted, or when
    it ends without a stop and the next begins in lower case. A hyphen that the break added is
    taken out; that of a clitic (``disse-|lhe``) stays. Verse and lists, whose lines are shorter
    than the width, keep their lines. Text is returned as it is when it is not wrapped.
    """
    lines = text.split("\n")
    lengths = sorted(len(line) for line in lines if line.strip())
    if len(lengths) < 10:
        return text
    width = lengths[int(len(lengths) * 0.9)]
    if not WRAP_WIDTHS[0] <= width <= WRAP_WIDTHS[1] or lengths[-1] > 4 * width:
        return text
    pieces = [lines[0]]
    last = lines[0]
    for line in lines[1:]:
        if _goes_on(last, line, width):
            pieces[-1:] = _join(pieces[-1], line)
        else:
            pieces += ["\n", line]
        last = line
    return "".join(pieces)


def _goes_on(line: str, following: str, width: int) -> bool:
    if not line.strip() or not following.strip() or _LIST.match(following):
        return False
    first = following.split(None, 1)[0]
    if _HYPHENATED.search(line) and first[0].islower():
        return True
    if not _ENDS.search(line) and first[0].islower():
        return len(line) > 0.4 * width
    # Printed text is proportional: lines of one width differ in characters by a tenth or so.
    slack = 0.98 if _ENDS.search(line) else 0.9
    return len(line) + 1 + len(first) > slack * width and not line.isupper()


def _join(line: str, following: str) -> tuple[str, str]:
    """The end of a line and the line that goes on in it, to be set side by side."""
    following = following.lstrip()
    if _HYPHENATED.search(line) and following[0].islower():
        word = re.match(r"\w+", following)
        if word and word.group() in _CLITICS:
            return line, following
        return line[:-1], following
    return line, f" {following}"


_NO_SPACE_BEFORE = re.compile(r"^(?:[.,;:!?)\]}»”…%ºª]+|-[^\W\d_]{1,4})$")
_NO_SPACE_AFTER = frozenset("( [ { « “ ‘ `` ¿ ¡".split())
_ELIDED = frozenset(("d", "n", "l", "s", "pr", "mr"))
_BOLD = re.compile(r"``\s*'\s*(.+?)\s*''\s*'(?=\s|$)")


def detokenise(tokens: Iterable[str]) -> str:
    """Tokens with the spacing of Portuguese: none before a stop, none inside quotes and brackets.

    Straight quotes open and close in turn; Penn Treebank's are turned into straight ones. A dash
    keeps its spaces (it marks a speaker), ``d ' água`` becomes ``d'água``.
    """
    parts: list[str] = []
    glue = True
    quoted = False
    for token in tokens:
        if not token:
            continue
        if token in ('"', "``", "''"):
            opens = token == "``" or (token == '"' and not quoted)
            parts.append(('"' if glue else ' "') if opens else '"')
            glue = quoted = opens
            continue
        if token in ("'", "’") and parts and parts[-1].strip().lower() in _ELIDED:
            parts.append(token)
            glue = True
            continue
        tight = glue or _NO_SPACE_BEFORE.match(token)
        parts.append(token if tight else f" {token}")
        glue = token in _NO_SPACE_AFTER
    return "".join(parts).strip()


def detokenise_line(line: str) -> str:
    """A line of tokens separated by spaces; ``'''bold'''`` that became quote tokens is undone."""
    return detokenise(_BOLD.sub(r"\1", line).split())
