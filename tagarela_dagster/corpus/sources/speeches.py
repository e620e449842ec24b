"""Parliamentary speeches as CSV: a document a speech.

Archives of debates have the same few columns under different names; without a ``mapping:`` in the
recipe they are found by name (Portuguese or English, in any case). Short speeches stay: filters
decide what is too short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources.dates import parse_date
from tagarela_dagster.corpus.sources.files import read_parts
from tagarela_dagster.corpus.sources.formats.delimited import rows, with_columns
from tagarela_dagster.corpus.sources.formats.part import FormatError, Part
from tagarela_dagster.corpus.sources.records import Record, documents
from tagarela_dagster.corpus.sources.unit import Unit
from tagarela_dagster.recipe.sources import Mapping, Source

TEXT = (
    "discurso",
    "texto",
    "transcricao",
    "transcrição",
    "fala",
    "pronunciamento",
    "speech",
    "text",
)
SPEAKER = ("nome", "orador", "nome_orador", "deputado", "senador", "autor", "speaker", "name")
PARTY = ("partido", "sigla_partido", "siglapartido", "party")
STATE = ("uf", "sigla_uf", "siglauf", "estado", "state")
DATE = ("data", "data_hora", "datahora", "datahorainicio", "dia", "date", "ano", "year")
IDENTIFIER = ("id", "codigo", "código", "id_discurso", "codigo_discurso", "cod_discurso")
"""Names of the columns, the likeliest first."""


def read(unit: Unit, source: Source) -> Iterator[Document | Rejected]:
    """Every speech of the unit's CSV files (plain, compressed, in archives).

    Reasons: ``no_field`` (no column is the text), ``no_text``, ``bad_row``, ``bad_csv``, and those
    of ``files.read``.
    """
    yield from read_parts(unit, source, lambda entry: _read_part)


def _read_part(part: Part) -> Iterator[Document | Rejected]:
    declared = part.source.mapping
    records = rows(part, declared.header)
    if declared != Mapping(header=declared.header):
        checked = with_columns(records, declared)
        yield from documents(checked, declared, part.name, part.native_id)
        return
    mapping: Mapping | None = None
    labels: dict[str, str] = {}
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        if mapping is None:
            mapping, labels = find_columns(list(record.fields))
        for item in documents([record], mapping, part.name, part.native_id):
            if isinstance(item, Document):
                _label(item, record, labels)
            yield item


def find_columns(columns: Sequence[str]) -> tuple[Mapping, dict[str, str]]:
    """The mapping of a file with these columns, and ``meta`` names of its other known columns.

    Raises:
        FormatError: ``no_field``: none of the columns is the text.
    """
    names = {column.strip().lower(): column for column in reversed(columns)}

    def first(known: Sequence[str]) -> str | None:
        return next((names[name] for name in known if name in names), None)

    text = first(TEXT)
    if text is None:
        raise FormatError(
            "no_field",
            f"none of the columns {', '.join(columns[:12])} is known to hold speeches;"
            " name it in the recipe's 'mapping.text'",
        )
    others = {"speaker": first(SPEAKER), "party": first(PARTY), "state": first(STATE)}
    mapping = Mapping(text=text, id=first(IDENTIFIER), date=first(DATE))
    return mapping, {label: column for label, column in others.items() if column}


def _label(document: Document, record: Record, labels: dict[str, str]) -> None:
    for label, column in labels.items():
        if value := " ".join((record.fields.get(column) or "").split()):
            document.meta[label] = value
    for column in ("ano", "year"):
        # Some archives number their sittings in a column of this name.
        number = record.fields.get(column)
        if number and parse_date(number) is None:
            document.meta[column] = number
