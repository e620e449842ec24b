"""Records (rows, JSON objects, XML elements) to documents, by the mapping in the recipe."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.labels import date_of, license_of, variety_of
from tagarela_dagster.corpus.sources.prose import one_line, tidy
from tagarela_dagster.recipe.sources import Mapping as Fields


@dataclass(frozen=True, slots=True)
class Record:
    """A record and where it was found.

    Attributes:
        where: ``line 12``, ``row 3``: unique in its file.
        bytes: its raw size.
    """

    where: str
    fields: Mapping[str, Any]
    bytes: int = 0


def documents(
    records: Iterable[Record | Rejected], mapping: Fields, file: str
) -> Iterator[Document | Rejected]:
    """Documents of ``records``; what is rejected already passes through.

    Rejections: ``no_text`` (no field of ``mapping.text`` has any), and, not quarantined,
    ``not_selected`` (``mapping.where``). With ``group_by``, consecutive records with the same
    value are one document, and only the group counts.
    """
    group: list[Record] = []
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        if any(_text(field(record.fields, k)) != v for k, v in mapping.where.items()):
            detail = ", ".join(f"{key} is not {value}" for key, value in mapping.where.items())
            yield _reject(record, file, "not_selected", detail, quarantined=False)
            continue
        if mapping.group_by is None:
            yield _document([record], mapping, file)
            continue
        key = field(record.fields, mapping.group_by)
        if group and key != field(group[-1].fields, mapping.group_by):
            yield _document(group, mapping, file)
            group = []
        group.append(record)
    if group:
        yield _document(group, mapping, file)


def _document(group: list[Record], mapping: Fields, file: str) -> Document | Rejected:
    first = group[0]
    names = [mapping.text] if isinstance(mapping.text, str) else mapping.text
    texts = []
    for record in group:
        parts = [tidy(_text(field(record.fields, name))) for name in names]
        texts.append("\n\n".join(part for part in parts if part))
    text = mapping.join.join(text for text in texts if text)
    if not text:
        present = ", ".join(list(first.fields)[:10])
        detail = f"no text in {' or '.join(names)}; the record has {present}"
        return _reject(first, file, "no_text", detail)
    meta = {
        key: _json(found)
        for key in mapping.meta
        if (found := field(first.fields, key)) not in (None, "")
    }
    if len(group) > 1:
        meta["records"] = len(group)

    def value(name: str | None) -> str | None:
        return (one_line(_text(field(first.fields, name))) or None) if name else None

    return Document(
        native_id=_identifier(first, mapping, file),
        text=text,
        url=value(mapping.url),
        date=date_of(field(first.fields, mapping.date)) if mapping.date else None,
        title=value(mapping.title),
        license=license_of(value(mapping.license)),
        variety=variety_of(value(mapping.variety)),
        meta=meta,
    )


def _identifier(record: Record, mapping: Fields, file: str) -> str:
    """The mapped fields joined by ``/``; without them (or their values), file and place."""
    names = mapping.id if isinstance(mapping.id, list) else [mapping.id] if mapping.id else []
    values = [one_line(_text(field(record.fields, name))) for name in names]
    return "/".join(values) if any(values) else f"{file}#{record.where}"


def field(fields: Mapping[str, Any], name: str) -> Any:
    """Value of a field; ``a.b`` also reaches into a nested record."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(part for item in value if (part := _text(item)))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value) if isinstance(value, int | float | datetime.date) else ""


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    return str(value)


def _reject(
    record: Record, file: str, reason: str, detail: str, quarantined: bool = True
) -> Rejected:
    excerpt = str(dict(record.fields))[:200]
    return Rejected(file, record.where, reason, detail, record.bytes, quarantined, excerpt)
