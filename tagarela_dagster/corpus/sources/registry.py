"""Readers by name: which module reads which native format.

Modules are imported when they are first asked for, so that a recipe with text files alone never
loads an HTML extractor, and listing sources loads none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import cast, get_args

from tagarela_dagster.corpus.sources.unit import RawFile, ReaderModule, Unit, group_files
from tagarela_dagster.recipe.sources import Reader, Source

PACKAGE = "tagarela_dagster.corpus.sources"
READERS = {name: f"{PACKAGE}.{name}" for name in get_args(Reader)}
"""Reader name in a recipe -> module with ``read`` and perhaps ``plan``."""


def reader(name: str) -> ReaderModule:
    """The module that reads ``name``; ``ValueError`` with the known names for another."""
    if name not in READERS:
        raise ValueError(f"no reader '{name}'; there are {', '.join(sorted(READERS))}")
    return cast(ReaderModule, import_module(READERS[name]))


def plan(files: Sequence[RawFile], source: Source) -> list[Unit]:
    """Cut a snapshot into units: by the reader's own ``plan``, or small files together.

    The plan depends on the files' names and contents only. Raises ``ValueError`` when two units
    have the same name, which would make two tasks write the same shards.
    """
    own = getattr(reader(source.reader), "plan", None)
    units = own(files, source) if own is not None else group_files(files)
    twice = [name for name, count in Counter(unit.name for unit in units).items() if count > 1]
    if twice:
        raise ValueError(f"reader '{source.reader}' planned the unit '{twice[0]}' more than once")
    return list(units)
