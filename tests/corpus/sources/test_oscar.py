"""OSCAR-2301 shards in their true format, sound and damaged."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tagarela_dagster.corpus.document import Document, Rejected
from tagarela_dagster.corpus.sources import oscar
from tagarela_dagster.corpus.sources.unit import RawFile, Unit
from tagarela_dagster.recipe.sources import Source

TEXT = "O rio corre devagar até à foz.\nNas margens, os pescadores consertam as redes."


def record(number: int, **changes: Any) -> dict[str, Any]:
    """One record as OSCAR-2301 has it."""
    return {
        "content": TEXT,
        "warc_headers": {
            "warc-record-id": f"<urn:uuid:{number:012d}>",
            "warc-target-uri": f"http://www.exemplo.pt/{number}",
            "warc-date": "2022-11-27T11:24:32Z",
            "warc-type": "conversion",
            "content-length": "78",
            "warc-refers-to": f"<urn:uuid:9{number:011d}>",
            "warc-block-digest": "sha1:K7",
            "content-type": "text/plain",
            "warc-identified-content-language": "por",
        },
        "metadata": {
            "identification": {"label": "pt", "prob": 0.98},
            "harmful_pp": 1031.5,
            "tlsh": "tlsh:T1",
            "quality_warnings": ["short_sentences", "footer"],
            "categories": None,
            "sentence_identifications": [{"label": "pt", "prob": 0.99}, None],
        },
    } | changes


def lines_of(*records: Any) -> bytes:
    return b"".join(
        (r if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode()) + b"\n"
        for r in records
    )


def read(path: Path, **options: Any) -> tuple[list[Document], list[Rejected]]:
    source = Source(reader="oscar", path="x", license="CC0-1.0", options=options)
    unit = Unit(path.name, (RawFile(path, path.name, path.stat().st_size),))
    records = list(oscar.read(unit, source))
    return (
        [r for r in records if isinstance(r, Document)],
        [r for r in records if isinstance(r, Rejected)],
    )


def test_a_record_keeps_its_signals(tmp_path: Path) -> None:
    path = tmp_path / "pt_meta_part_1.jsonl.zst"
    path.write_bytes(zstandard.compress(lines_of(record(1))))
    (document,), rejected = read(path)
    assert rejected == []
    assert document.native_id == "<urn:uuid:000000000001>"
    assert document.text == TEXT
    assert document.url == "http://www.exemplo.pt/1"
    assert document.date == date(2022, 11, 27)
    assert document.quality == {"harmful_pp": 1031.5}
    assert document.meta == {
        "record": "<urn:uuid:000000000001>",
        "refers_to": "<urn:uuid:900000000001>",
        "digest": "sha1:K7",
        "language": "pt",
        "language_prob": 0.98,
        "quality_warnings": ["short_sentences", "footer"],
        "tlsh": "tlsh:T1",
    }


def test_the_older_release_s_annotation_is_read_as_quality_warnings(tmp_path: Path) -> None:
    metadata = {"identification": {"label": "pt", "prob": 1.0}, "annotation": ["tiny"]}
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(record(1, metadata=metadata), record(2, metadata=None)))
    (first, second), rejected = read(path)
    assert first.meta["quality_warnings"] == ["tiny"]
    assert first.quality == {}
    assert set(second.meta) == {"record", "refers_to", "digest"}
    assert rejected == []


@pytest.mark.parametrize("compress", [zstandard.compress, gzip.compress, bytes])
def test_every_compression_and_several_frames_are_read(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(compress(lines_of(record(1), record(2))) + compress(lines_of(record(3))))
    documents, rejected = read(path)
    assert (len(documents), rejected) == (3, [])


def test_bad_lines_are_quarantined_with_line_and_byte(tmp_path: Path) -> None:
    no_content = {k: v for k, v in record(5).items() if k != "content"}
    wrong = json.dumps(record(3), ensure_ascii=False).encode().replace("é".encode(), b"\xe9")
    wrong = wrong.replace("à".encode(), b"\xe0")
    bad = [
        b'{"content": "meio registo',
        wrong,
        b'["uma lista"]',
        no_content,
        record(6, content=["não", "texto"]),
        record(7, warc_headers={}),
        record(8, content=" \n"),
    ]
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(lines_of(record(1), *bad, record(9))))
    documents, rejected = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/1", "http://www.exemplo.pt/9"]
    assert [(r.reason, r.quarantined) for r in rejected] == [
        ("bad_json", True),
        ("encoding", True),
        ("bad_json", True),
        ("no_content", True),
        ("no_content", True),
        ("no_id", True),
        ("no_text", False),
    ]
    start = len(lines_of(record(1)))
    assert rejected[0].offset == f"line 2, byte {start}"
    assert rejected[0].bytes == len(lines_of(bad[0]))
    assert rejected[1].offset == f"line 3, byte {start + len(lines_of(bad[0]))}"
    assert rejected[0].excerpt == '{"content": "meio registo'


@pytest.mark.parametrize("compress", [zstandard.compress, gzip.compress])
def test_a_truncated_frame_keeps_the_records_before_it(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "a.jsonl.zst"
    first = lines_of(record(1), record(2))
    path.write_bytes(compress(first) + compress(lines_of(record(3)))[:-20])
    documents, (rejected,) = read(path)
    assert len(documents) == 2
    assert (rejected.reason, rejected.quarantined) == ("truncated", True)
    assert rejected.offset == f"line 3, byte {len(first)}"


def test_a_corrupt_frame_is_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    data = bytearray(gzip.compress(lines_of(record(1))))
    data[-6] ^= 0xFF
    path.write_bytes(gzip.compress(lines_of(record(0))) + data)
    _, rejected = read(path)
    assert [r.reason for r in rejected] == ["corrupt"]


def test_a_line_over_the_bound_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    huge = lines_of(record(2, content="a" * 500_000))
    path.write_bytes(zstandard.compress(lines_of(record(1)) + huge + lines_of(record(3))))
    documents, (rejected,) = read(path, max_line_bytes=10_000)
    assert len(documents) == 2
    assert (rejected.reason, rejected.bytes) == ("too_large", len(huge))


def test_a_bomb_ends_the_file_and_not_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(lines_of(record(1)) + b"a" * 100_000_000))
    documents, (rejected,) = read(path)
    assert len(documents) == 1
    assert (rejected.reason, rejected.quarantined) == ("bomb", True)
