"""Document: one row of the corpus, and what a reader says of a record that is none.

Readers yield ``Document`` and ``Rejected`` objects one at a time; from the first shard on the
corpus is Arrow (``DOCUMENT_SCHEMA``) and no Python object stands for a row.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

SIGNALS = (
    "words",
    "avg_word_length",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_lines",
    "ellipsis_lines",
    "alpha_words",
    "stop_words",
    "dup_line_frac",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "dup_5_gram",
    "dup_6_gram",
    "dup_7_gram",
    "dup_8_gram",
    "dup_9_gram",
    "dup_10_gram",
    "line_punct_ratio",
    "short_line_ratio",
    "char_dup_ratio",
    "list_ratio",
    "c4_kept_lines",
    "c4_no_punctuation_lines",
    "c4_short_lines",
    "c4_long_word_lines",
    "c4_javascript_lines",
    "c4_policy_lines",
    "c4_curly_lines",
    "c4_lorem_lines",
    "c4_sentences",
    "madlad_sentences",
    "madlad_questionable",
    "pii_found",
    "lines_removed",
    "mojibake_lines",
    "harmful_pp",
    "replacement_chars",
    "control_chars",
    "mojibake_left",
    "ocr_ratio",
    "boilerplate_lines",
    "boilerplate_ratio",
    "policy_lines",
    "adult_hits",
    "slur_hits",
    "spam_hits",
    "transcript_tags",
    "credit_lines",
    "wiki_remains",
    "perplexity",
    "perplexity_tier",
    "score_1",
    "score_2",
    "score_3",
    "score_4",
)
"""Every signal that a corpus stage computes, as a float in the ``quality`` struct."""

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("snapshot", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("date", pa.date32()),
        pa.field("title", pa.string()),
        pa.field("license", pa.string()),
        pa.field("variety", pa.string()),
        pa.field("variety_score", pa.float32()),
        pa.field("language", pa.string()),
        pa.field("language_score", pa.float32()),
        pa.field("quality", pa.struct([pa.field(name, pa.float32()) for name in SIGNALS])),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
"""Columns of every document shard. ``meta`` is a JSON object of the source's native fields."""

EDITS = (
    "encoding",
    "unicode",
    "dehyphenated",
    "wiki",
    "transcript",
    "boilerplate",
    "cleanup",
    "pii",
)
"""Every edit of a document's text while it is measured, in the order in which they are made."""

MEASURED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("bytes_in", pa.int64(), nullable=False)).append(
    pa.field("removed", pa.struct([pa.field(name, pa.int64()) for name in EDITS]), nullable=False)
)
"""Columns of a measured shard: the document, the bytes of text it came in with, and the bytes
that each edit took from it (negative when it added some)."""

DROPPED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("reason", pa.string(), nullable=False))
"""Columns of a shard of dropped documents."""

VARIETIES = ("pt-PT", "pt-BR", "other")


@dataclass(slots=True)
class Document:
    """A document as a reader yields it; ``source`` and ``snapshot`` are added by the writer.

    Attributes:
        native_id: identifier in the source's own terms (a WARC record id, a page id, a path and
            line). The document's id is derived from it and the source, so it must be stable
            between snapshots when the source's own identifier is.
        meta: native fields worth keeping; JSON types only.
        quality: signals that the source itself carries (a subset of SIGNALS).
    """

    native_id: str
    text: str
    url: str | None = None
    date: datetime.date | None = None
    title: str | None = None
    license: str | None = None
    variety: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)

    def row(self, source: str, snapshot: str) -> dict[str, Any]:
        """The document as a row of ``DOCUMENT_SCHEMA``."""
        return {
            "id": document_id(source, self.native_id),
            "text": self.text,
            "source": source,
            "snapshot": snapshot,
            "url": self.url,
            "date": self.date,
            "title": self.title,
            "license": self.license,
            "variety": self.variety,
            "variety_score": None,
            "language": None,
            "language_score": None,
            "quality": {name: self.quality.get(name) for name in SIGNALS},
            "meta": json.dumps(self.meta, ensure_ascii=False, sort_keys=True),
        }


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that gives no document.

    Attributes:
        file: name of the file (and archive member: ``archive.zip!member``) it was found in.
        offset: where in the file: a byte offset, a line, a row or a record number, as text
            ("line 12", "byte 4096").
        reason: short machine name, e.g. ``redirect``, ``no_text``, ``truncated``, ``encoding``.
        detail: one sentence for a person.
        bytes: size of the record's payload in bytes, 0 when it could not be read.
        quarantined: True for bad input (damaged, unreadable), False for a sound record that the
            source's rules leave out (a redirect, a disambiguation page).
        excerpt: up to 200 characters of the record, to look at.
    """

    file: str
    offset: str
    reason: str
    detail: str = ""
    bytes: int = 0
    quarantined: bool = True
    excerpt: str = ""


def document_id(source: str, native_id: str) -> str:
    """Stable id: source, a colon, 20 hex digits of the SHA-256 of the native identifier."""
    return f"{source}:{hashlib.sha256(native_id.encode()).hexdigest()[:20]}"
