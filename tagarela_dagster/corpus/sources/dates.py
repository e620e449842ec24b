"""Dates as people write them in data files."""

from __future__ import annotations

import datetime
import re
from typing import Any

MONTHS = (
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
).split()

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?(?:[T ].*)?$")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\d{6})?$")
_DAY_FIRST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?: .*)?$")
_WORDS = re.compile(
    r"(\d{1,2})[.º]*\s+(?:de\s+)?([a-zç]+)\.?,?\s+(?:de\s+)?(\d{4})$", re.IGNORECASE
)
_YEAR = re.compile(r"(\d{4})$")


def parse_date(value: Any) -> datetime.date | None:
    """A day from a date, or from text; None for anything else.

    Read are ISO 8601 (a month or a year alone means its first day), ``19871105`` with or without
    a time, ``05/11/1987`` (day first, as in Portuguese) and ``5 de novembro de 1987``.
    """
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    if match := _ISO.match(text):
        return _day(match[1], match[2], match[3] or 1)
    if match := _COMPACT.match(text):
        return _day(match[1], match[2], match[3])
    if match := _DAY_FIRST.match(text):
        return _day(match[3], match[2], match[1])
    if match := _WORDS.match(text):
        return _day(match[3], _month(match[2]), match[1])
    if match := _YEAR.match(text):
        return _day(match[1], 1, 1)
    return None


def _month(name: str) -> int:
    """Number of a Portuguese month, also abbreviated to three letters; 0 for another word."""
    short = name.lower()[:3]
    found = [n for n, month in enumerate(MONTHS, 1) if month[:3] == short]
    return found[0] if found and MONTHS[found[0] - 1].startswith(name.lower()) else 0


def _day(year: str, month: str | int, day: str | int) -> datetime.date | None:
    try:
        return datetime.date(int(year), int(month), int(day))
    except ValueError:
        return None
