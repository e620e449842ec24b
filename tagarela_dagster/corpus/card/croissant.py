"""Croissant 1.1 metadata of an export: every file with its hash, every column with its meaning.

The format is https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html, with the fields of
its RAI extension (responsible AI) that lineage can answer truthfully; ``mlcroissant`` validates it
in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagarela_dagster.corpus.card.facts import CorpusFacts, FileFacts
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA
from tagarela_dagster.provenance.files import atomic_write

NAME = "croissant.json"
CONFORMS_TO = (
    "http://mlcommons.org/croissant/1.1",
    "http://mlcommons.org/croissant/RAI/1.0",
)
SHARDS = "shards"
PARQUET = "application/x-parquet"

MEANINGS = {
    "id": "Stable identifier: source, a colon, 20 hex digits.",
    "text": "The document's text.",
    "source": "Source of the recipe that it was read from.",
    "snapshot": "Dump, crawl, release or month that it was read from.",
    "url": "Where the document was published.",
    "date": "When it was published.",
    "title": "Its title.",
    "license": "Its licence: an SPDX expression, or LicenseRef-….",
    "variety": "Variety of Portuguese: pt-PT, pt-BR or other.",
    "variety_score": "Score of the variety.",
    "language": "Language that was identified.",
    "language_score": "Score of the language.",
    "quality": "Signals that were computed of the text.",
    "meta": "Native fields of the source and what was done to the document, a JSON object.",
}


def write_croissant(
    facts: CorpusFacts, folder: Path, files: Sequence[FileFacts] | None = None
) -> Path:
    """Write ``croissant.json``; returns its path.

    Args:
        files: what the folder holds; by default the clean shards as they are exported whole.
    """
    path = folder / NAME
    with atomic_write(path) as file:
        content = croissant(facts, facts.files if files is None else files)
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")
    return path


def croissant(facts: CorpusFacts, files: Sequence[FileFacts]) -> dict[str, Any]:
    """The metadata as JSON-LD."""
    card = facts.card
    known = {
        "license": [_license_url(name) for name, _ in facts.licenses if name]
        if not card.license
        else [_license_url(card.license)],
        "url": card.url,
        "citeAs": card.citation,
        "datePublished": card.published.isoformat() if card.published else "",
        "creator": {"@type": "sc:Organization", "name": card.creator} if card.creator else "",
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": facts.name,
        "alternateName": facts.title,
        "description": facts.description or facts.title,
        "version": card.version,
        "identifier": f"sha256:{facts.lineage}",
        "inLanguage": "pt",
        "isLiveDataset": False,
        **{name: value for name, value in known.items() if value},
        **_responsible(facts),
        "distribution": [_file(file) for file in files] + [_file_set()],
        "recordSet": [_records(facts)],
    }


def _file(file: FileFacts) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "description": f"{file.rows} documents of {file.source}.",
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": PARQUET,
        "sha256": file.sha256,
    }


def _file_set() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": SHARDS,
        "name": SHARDS,
        "description": "All shards of documents, in a folder for each source.",
        "encodingFormat": PARQUET,
        "includes": "data/*/*.parquet",
    }


def _records(facts: CorpusFacts) -> dict[str, Any]:
    columns = set(facts.card.columns)
    fields = [_field(field) for field in DOCUMENT_SCHEMA if field.name in columns]
    return {
        "@type": "cr:RecordSet",
        "@id": "documents",
        "name": "documents",
        "description": f"{facts.documents} documents, one a row.",
        "key": {"@id": "documents/id"},
        "field": fields,
    }


def _field(field: pa.Field) -> dict[str, Any]:
    content = {
        "@type": "cr:Field",
        "@id": f"documents/{field.name}",
        "name": field.name,
        "description": MEANINGS[field.name],
        "source": {"fileSet": {"@id": SHARDS}, "extract": {"column": field.name}},
    }
    if not pa.types.is_struct(field.type):
        return content | {"dataType": _data_type(field)}
    signals = [
        {
            "@type": "cr:Field",
            "@id": f"documents/{field.name}/{signal.name}",
            "name": signal.name,
            "description": f"Signal {signal.name}; null where it cannot be computed.",
            "dataType": "sc:Float",
            "source": {
                "fileSet": {"@id": SHARDS},
                "extract": {"column": field.name},
                "transform": {"jsonPath": signal.name},
            },
        }
        for signal in field.type
    ]
    del content["source"]
    return content | {"subField": signals}


def _data_type(field: pa.Field) -> str:
    if field.name == "url":
        return "sc:URL"
    if pa.types.is_date(field.type):
        return "sc:Date"
    return "sc:Float" if pa.types.is_floating(field.type) else "sc:Text"


def _responsible(facts: CorpusFacts) -> dict[str, Any]:
    """Fields of the RAI extension that lineage answers; none is there for form's sake."""
    settings = facts.settings
    pii = settings.get("filtered", {}).get("pii", {})
    dropped = [
        f"{stage.name}: {documents} documents dropped as {reason}"
        for stage in facts.stages
        for reason, documents, _ in stage.dropped
    ]
    years = [year for year, _ in facts.years if year]
    varieties = [f"{count} documents {name or 'unknown'}" for name, count in facts.varieties]
    found = {
        "rai:dataCollection": "Read from snapshots of public sources: "
        + "; ".join(f"{s.name} ({s.reader}: {', '.join(s.snapshots)})" for s in facts.sources),
        "rai:dataCollectionTimeframe": [f"{years[0]}-01-01", f"{years[-1]}-12-31"] if years else [],
        "rai:dataPreprocessingProtocol": [*dropped, f"settings: {json.dumps(settings)}"],
        "rai:dataBiases": [f"Varieties: {', '.join(varieties)}."],
        "rai:dataLimitations": list(facts.card.gaps.get("en", [])),
        "rai:personalSensitiveInformation": [
            f"Sought by rules and check digits: {', '.join(pii['kinds'])}; {pii['action']}. Some "
            "remain."
        ]
        if pii.get("enabled")
        else ["Not sought and not removed."],
        "rai:dataReleaseMaintenancePlan": f"Takedown requests: {facts.card.contact}"
        if facts.card.contact
        else "",
    }
    return {name: value for name, value in found.items() if value}


def _license_url(name: str) -> str:
    """SPDX's page of a single licence; any other expression as it stands."""
    simple = name and not name.startswith("LicenseRef") and " " not in name
    return f"https://spdx.org/licenses/{name}.html" if simple else name


CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""As in the specification of 1.1."""
