"""Damaged web archives: what is lost, what is quarantined, where reading goes on."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from tagarela_dagster.corpus.sources import gzip_members
from tests.corpus.sources.web_pages import PAGE, members, read


def test_a_truncated_member_costs_its_own_record_only(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {}, {})
    data = path.read_bytes()
    path.write_bytes(data[: offsets[2] - 100] + data[offsets[2] :])
    documents, (rejected,) = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/0", "http://www.exemplo.pt/2"]
    assert (rejected.reason, rejected.offset) == ("truncated", f"byte {offsets[1]}")
    assert rejected.bytes == offsets[2] - offsets[1] - 100
    assert rejected.quarantined


def test_a_file_cut_at_its_end_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {})
    path.write_bytes(path.read_bytes()[:-7])
    documents, (rejected,) = read(path)
    assert len(documents) == 1
    assert (rejected.reason, rejected.offset) == ("truncated", f"byte {offsets[1]}")


def test_a_member_with_altered_bytes_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {"body": PAGE + random.Random(0).randbytes(200_000).hex()}, {})
    data = bytearray(path.read_bytes())
    data[offsets[1] - 6] ^= 0xFF
    path.write_bytes(data)
    documents, (rejected,) = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/1"]
    assert (rejected.reason, rejected.offset) == ("corrupt", "byte 0")


def test_garbage_between_members_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    offsets = members(path, {}, {})
    data = path.read_bytes()
    junk = b"\x00" * 50 + b"\x1f\x8b\x08junk"
    path.write_bytes(data[: offsets[1]] + junk + data[offsets[1] :])
    documents, (rejected,) = read(path)
    assert len(documents) == 2
    assert (rejected.reason, rejected.bytes) == ("garbage", len(junk))
    assert rejected.offset == f"byte {offsets[1]}"


def test_a_gzip_bomb_is_left_before_it_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gzip_members, "BOMB_BYTES", 1_000_000)
    path = tmp_path / "a.warc.gz"
    members(path, {})
    bomb = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 30000000\r\n\r\n" + bytes(
        30_000_000
    )
    good = path.read_bytes()
    path.write_bytes(gzip.compress(bomb) + good)
    documents, (rejected,) = read(path)
    assert len(documents) == 1
    assert (rejected.reason, rejected.offset) == ("bomb", "byte 0")
    assert rejected.bytes == path.stat().st_size - len(good)


def test_a_plain_file_goes_on_at_the_next_record_after_a_wrong_length(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    offsets = members(path, {}, {}, {}, {}, gz=False)
    data = path.read_bytes()
    records = [data[a:b] for a, b in zip(offsets, [*offsets[1:], len(data)], strict=True)]
    block = records[1].split(b"\r\n\r\n", 1)[1]
    length = b"Content-Length: %d\r\n" % (len(block) - 4)
    assert length in records[1]
    records[1] = records[1].replace(length, b"Content-Length: 40\r\n")
    records[3] = records[3][:-200]
    path.write_bytes(b"".join(records))
    documents, rejected = read(path)
    assert [d.url for d in documents] == ["http://www.exemplo.pt/0", "http://www.exemplo.pt/2"]
    assert [(r.reason, r.offset) for r in rejected] == [
        ("bad_length", f"byte {offsets[1]}"),
        ("truncated", f"byte {sum(map(len, records[:3]))}"),
    ]


def test_a_bad_record_header_is_quarantined_with_its_member(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    members(path, {})
    good = path.read_bytes()
    bad = gzip.compress(b"GARC/1.0\r\nfoo: bar\r\n\r\n")
    no_length = gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\n\r\nola")
    no_url = gzip.compress(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 4\r\n"
        b"Content-Type: text/html\r\n\r\nola!\r\n\r\n"
    )
    endless = gzip.compress(b"WARC/1.0\r\n" + b"a: " + b"x" * 2_000_000)
    path.write_bytes(bad + no_length + no_url + endless + good)
    documents, rejected = read(path)
    assert len(documents) == 1
    assert [r.reason for r in rejected] == ["bad_record", "bad_record", "no_url", "bad_record"]
    assert [r.offset for r in rejected][:2] == ["byte 0", f"byte {len(bad)}"]


def test_a_file_that_is_no_archive_and_an_empty_file_are_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(random.Random(0).randbytes(30_000))
    (tmp_path / "b.warc.gz").write_bytes(b"")
    assert [r.reason for r in read(tmp_path / "a.warc")[1]] == ["bad_record"]
    assert [r.reason for r in read(tmp_path / "b.warc.gz")[1]] == ["empty_file"]
