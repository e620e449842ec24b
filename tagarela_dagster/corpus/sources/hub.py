"""Data sets of the Hugging Face hub, or of a local folder in its layout, through ``datasets``.

FineWeb-2, GigaVerbo, CrawlPT and ClassiCC-PT are such data sets. They are streamed; the recipe's
``mapping:`` says which column is the text. A folder is read without any network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.discover import source_folder
from tagarela_dagster.corpus.sources.formats.delimited import with_columns
from tagarela_dagster.corpus.sources.formats.parquet import fields_of
from tagarela_dagster.corpus.sources.formats.part import FormatError
from tagarela_dagster.corpus.sources.records import Record, documents
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import HubDataset, Source


class HubError(RuntimeError):
    """A data set cannot be had or read; the message names it and says what to do."""


def plan(files: Sequence[RawFile], source: Source) -> list[Unit]:
    """One unit: a hub data set has no files of ours."""
    return [Unit("hub", ())]


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every row of the data set's split.

    Raises:
        HubError: it does not exist, cannot be reached, has no such split or column, or is damaged
            on the way (nothing of it is published then).
    """
    assert source.hub is not None
    hub, mapping = source.hub, source.mapping
    name = described(hub)
    records = with_columns(_records(hub, fields_of(mapping)), mapping)
    try:
        yield from documents(records, mapping, name, hub.split)
    except FormatError as error:
        raise HubError(f"{name}: {error}") from error


def described(hub: HubDataset) -> str:
    """The data set in words, for messages."""
    parts = (hub.name, hub.config, hub.split, hub.revision and f"revision {hub.revision}")
    return "hub data set " + ", ".join(part for part in parts if part)


def _records(hub: HubDataset, columns: Sequence[str]) -> Iterator[Record | Rejected]:
    rows = _open(hub)
    known = rows.column_names
    if known:
        wanted = [c if c in known else c.partition(".")[0] for c in columns]
        kept = [column for column in dict.fromkeys(wanted) if column in known]
        # Without any of them, with_columns is to say which columns there are.
        rows = rows.select_columns(kept) if mapped(kept, columns) else rows
    number = 0
    try:
        for number, fields in enumerate(rows, 1):
            yield Record(fields, number, f"row {number}")
    except (OSError, ValueError, RuntimeError, ArithmeticError) as error:
        raise HubError(
            f"{described(hub)}: reading stopped after row {number}: {_sentence(error)};"
            " try again, or fetch the data set and give its folder as 'hub.name'"
        ) from error


def mapped(kept: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether the first field that is asked for, the text, is among the columns."""
    return bool(columns) and columns[0].partition(".")[0] in {c.partition(".")[0] for c in kept}


def _open(hub: HubDataset) -> Any:
    import datasets

    local = _folder(hub.name)
    try:
        return datasets.load_dataset(
            str(local) if local else hub.name,
            hub.config,
            split=hub.split,
            revision=None if local else hub.revision,
            streaming=hub.streaming,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        hint = (
            "look at its files, 'hub.config' and 'hub.split'"
            if local
            else "check its name, 'hub.config', 'hub.split' and the network, or fetch it and give"
            " its folder as 'hub.name'"
        )
        raise HubError(f"{described(hub)} cannot be opened: {_sentence(error)}; {hint}") from error


def _folder(name: str) -> Path | None:
    """The local folder that a name stands for, None for a name on the hub."""
    path = source_folder(name) if name.startswith("sample:") or "${" in name else Path(name)
    if path.is_dir():
        return path.absolute()
    if path.is_absolute() or name.startswith((".", "~")) or os.sep * 2 in name:
        raise HubError(f"hub data set {name}: there is no folder {path}")
    return None


def _sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
