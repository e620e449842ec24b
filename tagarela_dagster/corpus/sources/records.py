"""Records with named fields to documents, by the recipe's ``mapping:``.

JSONL, Parquet, CSV, XML records and hub data sets differ in how fields are read and in nothing
else. A field is named by its key, or by a path with dots (``metadata.url``).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Fields
from dataclasses import dataclass
from typing import Any

from tagarela_dagster.corpus.document import VARIETIES, Document, Rejected
from tagarela_dagster.corpus.sources.dates import parse_date
from tagarela_dagster.corpus.sources.labels import variety_of
from tagarela_dagster.corpus.sources.prose import tidy
from tagarela_dagster.recipe.sources import Mapping

MAX_GROUP_CHARACTERS = 64_000_000
"""A group of records with more text is quarantined; bounds the memory."""
EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file.

    Attributes:
        number: from 1; a line number where the format has a record a line.
        where: place in the file, for people.
        bytes: size in the file, 0 where it is not known.
    """

    fields: Fields[str, Any]
    number: int
    where: str
    bytes: int = 0


class RecordError(Exception):
    """A record that gives no document, with the reason."""

    def __init__(self, reason: str, detail: str, quarantined: bool = True) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.quarantined = quarantined


def documents(
    records: Iterable[Record | Rejected], mapping: Mapping, name: str, native_id: str
) -> Iterator[Document | Rejected]:
    """Documents of a file's records; rejections among the records are passed on.

    Args:
        name: the file, for reports.
        native_id: the file's stable name; a record without ``mapping.id`` is ``FILE:NUMBER``.

    Reasons: ``not_selected`` (``where`` leaves it out), ``no_text`` (left out when the field is
    empty, quarantined when there is none or it holds no text), ``no_id``, ``too_large`` (a group).
    With ``group_by``, consecutive records with the same value make one document, a line each;
    its other fields are those of the first record.
    """
    group: _Group | None = None
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            document = to_document(record, mapping, native_id)
        except RecordError as error:
            yield _rejected(record, error, name)
            continue
        if mapping.group_by is None:
            yield document
            continue
        value = [field_of(record.fields, key) for key in listed(mapping.group_by)]
        if group is not None and group.value != value:
            yield group.document(name)
            group = None
        if group is None:
            group = _Group(value, record, document)
        else:
            group.add(record, document)
    if group is not None:
        yield group.document(name)


def to_document(record: Record, mapping: Mapping, native_id: str) -> Document:
    """One record as a document. Raises ``RecordError``."""
    fields = record.fields
    for key, wanted in mapping.where.items():
        value = field_of(fields, key)
        if plain(value) != wanted:
            raise RecordError("not_selected", f"{key} is {plain(value)!r}, not {wanted!r}", False)
    text = _text(fields, mapping)
    native = f"{native_id}:{record.number}"
    if mapping.id is not None:
        keys = listed(mapping.id)
        values = [plain(field_of(fields, key)) for key in keys]
        if None in values or not all(values):
            raise RecordError("no_id", f"no value in {' and '.join(keys)}")
        native = "/".join(str(value) for value in values)
    meta = {key: _json(field_of(fields, key)) for key in mapping.meta}
    return Document(
        native_id=native,
        text=text,
        url=_optional(fields, mapping.url),
        date=parse_date(field_of(fields, mapping.date)) if mapping.date else None,
        title=_title(_optional(fields, mapping.title)),
        license=_optional(fields, mapping.license),
        variety=_variety(_optional(fields, mapping.variety)),
        meta={key: value for key, value in meta.items() if value is not None},
    )


def listed(names: str | list[str] | None) -> list[str]:
    """Field names of a mapping's entry, which may be one, several or none."""
    return [names] if isinstance(names, str) else list(names or ())


def required(mapping: Mapping) -> list[str]:
    """Fields without which no record of a table can be used."""
    return [*listed(mapping.text), *mapping.where, *listed(mapping.group_by)]


def field_of(fields: Fields[str, Any], key: str) -> Any:
    """A field by its name, or by a path with dots through nested objects; None without one."""
    if key in fields:
        return fields[key]
    first, dot, rest = key.partition(".")
    inner = fields.get(first) if dot else None
    return field_of(inner, rest) if isinstance(inner, Fields) else None


def plain(value: Any) -> str | None:
    """A single value as text: JSON's own words for true and false; None for none or a nest."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float | datetime.date) else None


def _text(fields: Fields[str, Any], mapping: Mapping) -> str:
    keys = listed(mapping.text)
    found = []
    for key in keys:
        value = field_of(fields, key)
        if isinstance(value, list) and all(isinstance(piece, str) for piece in value):
            value = "\n".join(value)
        if isinstance(value, str):
            found.append(tidy(value))
        elif value is not None:
            raise RecordError("no_text", f"{key} is {type(value).__name__}, not text")
    if not found:
        if any(key in fields for key in keys):
            raise RecordError("no_text", f"{' and '.join(keys)}: null", False)
        known = ", ".join(list(fields)[:10])
        raise RecordError("no_text", f"no field {' or '.join(keys)}; there are: {known}")
    text = "\n\n".join(piece for piece in found if piece)
    if not text:
        raise RecordError("no_text", f"{' and '.join(keys)}: empty", False)
    return text


class _Group:
    """Consecutive records that become one document."""

    def __init__(self, value: Any, record: Record, document: Document) -> None:
        self.value = value
        self.first = document
        self.where = record.where
        self.bytes = 0
        self.size = 0
        self.records = 0
        self.texts: list[str] = []
        self.add(record, document)

    def add(self, record: Record, document: Document) -> None:
        self.records += 1
        self.bytes += record.bytes
        self.size += len(document.text) + 1
        if self.size <= MAX_GROUP_CHARACTERS:
            self.texts.append(document.text)

    def document(self, name: str) -> Document | Rejected:
        if self.size > MAX_GROUP_CHARACTERS:
            detail = f"a group of {self.records} records, at most {MAX_GROUP_CHARACTERS} characters"
            return Rejected(name, self.where, "too_large", detail, self.bytes)
        self.first.text = "\n".join(self.texts)
        self.first.meta["records"] = self.records
        return self.first


def _rejected(record: Record, error: RecordError, name: str) -> Rejected:
    values = (v for v in record.fields.values() if isinstance(v, str) and v.strip())
    excerpt = next(values, "")[:EXCERPT].encode("utf-8", "replace").decode()
    return Rejected(
        name, record.where, error.reason, error.detail, record.bytes, error.quarantined, excerpt
    )


def _optional(fields: Fields[str, Any], key: str | None) -> str | None:
    return (plain(field_of(fields, key)) or None) if key else None


def _variety(value: str | None) -> str | None:
    return value if value in VARIETIES else variety_of(value)


def _title(value: str | None) -> str | None:
    return " ".join(value.split()) if value else None


def _json(value: Any) -> Any:
    """A field for ``meta``: JSON types only, empty values left out."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Fields):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value if value != "" else None
    return str(value)
