"""Labels as sources write them (varieties, licences, dates) to the corpus's own."""

from __future__ import annotations

import datetime
import re
from typing import Any

_BRAZIL = re.compile(r"^(?:pt[-_]?br|por[-_]br|br|brazil(?:ian)?|brasil)$|\(br\)|\bbrazil|\bbrasil")
_PORTUGAL = re.compile(r"^(?:pt[-_]?pt|por[-_]pt|portugal)$|\(pt\)|\bportugal\b|\beurop")
_CREATIVE_COMMONS = re.compile(
    r"creativecommons\.org/licen[cs]es/(?P<kind>by(?:-nc)?(?:-sa|-nd)?)/(?P<version>\d\.\d)", re.I
)
_SPDX = re.compile(r"^(?:[A-Za-z0-9.+-]+|LicenseRef-[A-Za-z0-9.-]+)$")
_DAY_FIRST = re.compile(r"\b(\d{1,2})[./-](\d{1,2})[./-](\d{4})\b")
_YEAR_FIRST = re.compile(r"\b(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")


def variety_of(value: Any) -> str | None:
    """pt-PT or pt-BR of a language code or name; None when it names neither.

    A bare ``pt`` or ``Portuguese`` says the language only.
    """
    name = str(value or "").strip().lower()
    if _BRAZIL.search(name):
        return "pt-BR"
    return "pt-PT" if _PORTUGAL.search(name) else None


def license_of(value: Any) -> str | None:
    """SPDX identifier of a licence given as identifier or as a Creative Commons address."""
    text = str(value or "").strip()
    match = _CREATIVE_COMMONS.search(text)
    if match:
        return f"CC-{match['kind'].upper()}-{match['version']}"
    if "creativecommons.org/publicdomain/zero" in text:
        return "CC0-1.0"
    if "creativecommons.org/publicdomain/mark" in text:
        return "LicenseRef-public-domain"
    return text if _SPDX.match(text) else None


def date_of(value: Any) -> datetime.date | None:
    """Date of a value: a date, ISO 8601, ``YYYYMMDD``, or day first (``31/12/1988``)."""
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    text = str(value or "")
    for pattern, order in ((_YEAR_FIRST, (1, 2, 3)), (_DAY_FIRST, (3, 2, 1))):
        match = pattern.search(text)
        if match:
            year, month, day = (int(match.group(n)) for n in order)
            try:
                return datetime.date(year, month, day)
            except ValueError:
                continue
    return None
