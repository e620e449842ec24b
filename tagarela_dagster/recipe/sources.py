"""Sources section: where public Portuguese text comes from and how it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tagarela_dagster.recipe.base import Section

Reader = Literal[
    "oscar",
    "arquivo_pt",
    "wikipedia",
    "opensubtitles",
    "srt",
    "europarl",
    "parlamint",
    "camara",
    "senado",
    "speeches",
    "files",
    "hub",
]
FileFormat = Literal[
    "auto",
    "text",
    "markdown",
    "jsonl",
    "parquet",
    "csv",
    "tsv",
    "conllu",
    "tei",
    "jats",
    "docbook",
    "po",
    "html",
    "warc",
    "srt",
    "xml",
]
Variety = Literal["pt-PT", "pt-BR", "other"]
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SnapshotName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Mapping(Section):
    """Which field of a record is which column of a document (JSONL, Parquet, CSV, TSV, XML)."""

    text: str | list[str] = "text"
    """Field with the text; several are joined by a blank line."""
    id: str | list[str] | None = None
    """Field(s) with the native identifier; without one, file and record number."""
    title: str | None = None
    url: str | None = None
    date: str | None = None
    variety: str | None = None
    license: str | None = None
    meta: list[str] = []
    """Fields kept in ``meta``."""
    header: list[str] | None = None
    """Column names of a CSV or TSV file that has no header line."""
    where: dict[str, str] = {}
    """Keep only records whose field has this value (``{language: pt}``)."""
    group_by: str | list[str] | None = None
    """Join consecutive records with the same value of this field (or fields) into one document."""
    record: str | None = None
    """XML: local name of the element that is one record."""


class HubDataset(Section):
    """A data set read through ``datasets`` (the hub, or a local folder in its layout)."""

    name: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    streaming: bool = True


class Source(Section):
    """One source: native files in snapshots."""

    reader: Reader
    path: str = ""
    """Folder of the snapshots. ``sample:NAME`` is the bundled sample; ``${VARIABLE}`` is taken
    from the environment. Stays out of fingerprints."""
    snapshots: dict[SnapshotName, list[str]] = {}
    """Snapshot -> globs below ``path``. Empty: every sub-folder of ``path`` is a snapshot."""
    format: FileFormat = "auto"
    """``files`` only: native format; ``auto`` goes by the file's extension."""
    mapping: Mapping = Mapping()
    hub: HubDataset | None = None
    license: str
    """SPDX identifier (or ``LicenseRef-…``) for records that carry none of their own."""
    variety: Variety | None = None
    """Label of the whole source, where it has one."""
    rank: int = Field(default=100, ge=0, le=10_000)
    """Of two duplicates, the one from the source with the lower rank survives."""
    options: dict[str, Any] = {}
    """Settings of one reader, documented in its module."""

    @model_validator(mode="after")
    def _complete(self) -> Source:
        if self.reader == "hub" and self.hub is None:
            raise ValueError("reader 'hub' needs a 'hub:' block with the data set's name")
        if self.reader != "hub" and not self.path:
            raise ValueError(f"reader '{self.reader}' needs a 'path:'")
        return self

    def as_json(self) -> dict[str, Any]:
        """Fingerprinted form, what decides documents: without paths, which may differ between
        machines, and without the rank, which only ``clusters`` look at."""
        content = self.model_dump(mode="json", exclude={"path", "snapshots", "rank"})
        return _without(content, "robots_file")


def _without(value: Any, name: str) -> Any:
    """``value`` without the keys of this name, at any depth."""
    if not isinstance(value, dict):
        return value
    return {key: _without(part, name) for key, part in value.items() if key != name}
