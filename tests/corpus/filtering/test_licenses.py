from __future__ import annotations

import pytest

from tagarela_dagster.corpus.filtering.licenses import judge
from tagarela_dagster.recipe.filtering import Licenses


@pytest.mark.parametrize("name", [None, "", "  "])
def test_a_document_without_licence_is_dropped_unless_the_recipe_lets_it_through(
    name: str | None,
) -> None:
    assert judge(name, Licenses()) == "license_missing"
    assert judge(name, Licenses(require=False, allow=["CC0-1.0"])) is None


def test_a_denied_licence_is_dropped_even_when_allowed() -> None:
    section = Licenses(allow=["CC-*"], deny=["CC-BY-NC*"])
    assert judge("CC-BY-NC-SA-4.0", section) == "license_denied"
    assert judge("CC-BY-4.0", section) is None


def test_with_an_allow_list_other_licences_are_dropped() -> None:
    section = Licenses(allow=["CC0-1.0", "CC-BY-4.0"])
    assert judge("MIT", section) == "license_not_allowed"
    assert judge("cc-by-4.0", section) is None
    assert judge("MIT", Licenses()) is None


def test_brackets_in_a_name_are_not_wild() -> None:
    assert judge("Livre [a]", Licenses(allow=["Livre [a]"])) is None
    assert judge("Livre a", Licenses(allow=["Livre [a]"])) == "license_not_allowed"
