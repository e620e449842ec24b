"""How tests of readers run a reader: plan, read, and sort documents from rejections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.registry import plan, reader
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.recipe.sources import Source


@dataclass
class Outcome:
    """What a reader gave for a folder."""

    documents: list[Document]
    rejected: list[Rejected]

    @property
    def texts(self) -> dict[str, str]:
        """Text by native id."""
        return {document.native_id: document.text for document in self.documents}

    @property
    def reasons(self) -> dict[str, str]:
        """Reason by file and place; left-out records have a minus before theirs."""
        return {
            f"{r.file} {r.offset}": r.reason if r.quarantined else f"-{r.reason}"
            for r in self.rejected
        }


def raw_files(folder: Path) -> list[RawFile]:
    """Every file below a folder, named from it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [RawFile(p, p.relative_to(folder).as_posix(), p.stat().st_size) for p in paths]


def read_folder(name: str, folder: Path, **source: Any) -> Outcome:
    """Read a folder's files with a reader."""
    fields = {"reader": name, "path": "pasta", "license": "CC0-1.0", **source}
    section = Source.model_validate(fields)
    outcome = Outcome([], [])
    for unit in plan(raw_files(folder), section):
        for item in reader(name).read(unit, section):
            if isinstance(item, Document):
                outcome.documents.append(item)
            else:
                outcome.rejected.append(item)
    return outcome
