"""Licence gate: which documents the recipe may use at all."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tagarela_dagster.recipe.filtering import Licenses


def judge(license_: str | None, section: Licenses) -> str | None:
    """Drop reason of a document under ``license_``, None to keep it.

    Names are compared without regard to case; ``*`` in an entry stands for anything
    (``CC-BY-NC*``). A denied licence stays denied when an ``allow`` entry matches it too.
    """
    name = (license_ or "").strip()
    if not name:
        return "license_missing" if section.require else None
    if _matches(name, section.deny):
        return "license_denied"
    if section.allow and not _matches(name, section.allow):
        return "license_not_allowed"
    return None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    # Brackets are not wild: a licence name may hold them.
    return any(
        fnmatchcase(name.lower(), pattern.strip().lower().replace("[", "[[]"))
        for pattern in patterns
    )
