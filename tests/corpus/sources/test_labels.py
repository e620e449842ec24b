"""Labels of sources in the corpus's own terms."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tagarela_dagster.corpus.sources.labels import date_of, license_of, variety_of


@pytest.mark.parametrize(
    ("value", "variety"),
    [
        ("pt_br", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("Portuguese (BR)", "pt-BR"),
        ("português de Portugal", "pt-PT"),
        ("pt-PT", "pt-PT"),
        ("pt", None),
        ("Portuguese", None),
        (None, None),
    ],
)
def test_a_variety_is_named_or_not(value: Any, variety: str | None) -> None:
    assert variety_of(value) == variety


@pytest.mark.parametrize(
    ("value", "license_"),
    [
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/deed.pt", "CC-BY-NC-SA-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("todos os direitos reservados", None),
        ("", None),
    ],
)
def test_a_licence_becomes_its_spdx_identifier(value: Any, license_: str | None) -> None:
    assert license_of(value) == license_


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2022-03-15", (2022, 3, 15)),
        ("2022-03-15T16:33", (2022, 3, 15)),
        ("20220315", (2022, 3, 15)),
        ("15/03/2022", (2022, 3, 15)),
        ("15.03.2022", (2022, 3, 15)),
        (datetime.datetime(2022, 3, 15, 10), (2022, 3, 15)),
        ("2022-13-45", None),
        ("1987", None),
        (None, None),
    ],
)
def test_a_date_is_read_in_the_usual_forms(value: Any, date: tuple[int, int, int] | None) -> None:
    assert date_of(value) == (datetime.date(*date) if date else None)
