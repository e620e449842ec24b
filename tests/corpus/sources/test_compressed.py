"""Bounded decompression: good bytes first, then the truth about the rest."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from tagarela_dagster.corpus.sources import compressed
from tagarela_dagster.corpus.sources.compressed import bounded, open_bounded
from tagarela_dagster.corpus.sources.damage import (
    BoundExceededError,
    CompressedError,
    CorruptError,
    TruncatedError,
)
from tagarela_dagster.corpus.sources.stream import lines, read_all

TEXT = "".join(f"Linha {n}: a cidade acordou com chuva e vento.\n" for n in range(20_000)).encode()
Compress = Callable[[bytes], bytes]
KINDS: dict[str, Compress] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def _drain(stream: compressed.BoundedStream) -> tuple[bytes, CompressedError | None]:
    got = bytearray()
    try:
        while data := stream.read(10_000):
            got += data
    except CompressedError as error:
        return bytes(got), error
    return bytes(got), None


@every_kind
def test_a_compressed_file_gives_its_bytes(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sem_extensao"
    path.write_bytes(KINDS[kind](TEXT))
    with open_bounded(path) as stream:
        assert stream.kind == kind
        assert stream.read() == TEXT
        assert stream.read() == b""
        assert stream.tell() == len(TEXT)


@every_kind
def test_members_in_a_row_are_one_stream(kind: str) -> None:
    half = len(TEXT) // 2
    raw = KINDS[kind](TEXT[:half]) + KINDS[kind](b"") + KINDS[kind](TEXT[half:])
    assert bounded(BytesIO(raw)).read() == TEXT


@every_kind
def test_truncation_comes_after_the_good_bytes(kind: str) -> None:
    noise = bytes((n * n * 31 + n // 7) % 251 for n in range(2_000_000))
    raw = KINDS[kind](noise)
    got, error = _drain(bounded(BytesIO(raw[: len(raw) * 3 // 4])))
    assert isinstance(error, TruncatedError)
    assert noise.startswith(got)
    assert error.good_bytes == len(got)
    if kind != "xz":
        assert len(got) > 500_000


@every_kind
def test_a_member_cut_in_its_header_is_a_truncation(kind: str) -> None:
    raw = KINDS[kind](TEXT) + KINDS[kind](TEXT)[:4]
    got, error = _drain(bounded(BytesIO(raw)))
    assert got == TEXT
    assert isinstance(error, TruncatedError)
    assert error.good_bytes == len(TEXT)


@every_kind
def test_altered_data_is_corrupt(kind: str) -> None:
    raw = bytearray(KINDS[kind](TEXT))
    middle = len(raw) // 2
    raw[middle : middle + 64] = bytes(64)
    got, error = _drain(bounded(BytesIO(bytes(raw))))
    assert isinstance(error, CorruptError | TruncatedError)
    assert TEXT.startswith(got) or len(got) <= len(TEXT)


def test_garbage_after_the_end_is_said_and_zero_padding_is_not() -> None:
    got, error = _drain(bounded(BytesIO(gzip.compress(TEXT) + b"lixo depois do fim")))
    assert got == TEXT
    assert isinstance(error, CorruptError)
    assert _drain(bounded(BytesIO(gzip.compress(TEXT) + bytes(512)))) == (TEXT, None)


@every_kind
def test_a_bomb_is_stopped_by_its_ratio(kind: str) -> None:
    raw = KINDS[kind](bytes(150_000_000))
    size = 0
    stream = bounded(BytesIO(raw))
    with pytest.raises(BoundExceededError, match="times as many") as caught:
        while data := stream.read(1_000_000):
            size += len(data)
    assert size == caught.value.good_bytes
    assert size <= compressed.BOMB_BYTES + 40_000_000


@every_kind
def test_more_than_the_bound_is_stopped(kind: str) -> None:
    with pytest.raises(BoundExceededError, match="more than 100000 bytes"):
        read_all(bounded(BytesIO(KINDS[kind](TEXT)), max_bytes=100_000), len(TEXT))
    assert read_all(bounded(BytesIO(KINDS[kind](TEXT)), max_bytes=len(TEXT)), len(TEXT)) == TEXT


def test_reading_all_refuses_a_cut_stream_instead_of_returning_a_part() -> None:
    with pytest.raises(TruncatedError):
        read_all(bounded(BytesIO(gzip.compress(TEXT)[:-20])), len(TEXT))


def test_a_plain_stream_passes_through() -> None:
    stream = bounded(BytesIO(TEXT))
    assert stream.kind is None
    assert stream.readline() == b"Linha 0: a cidade acordou com chuva e vento.\n"
    assert stream.read() == TEXT[45:]


def test_lines_are_numbered_and_a_cut_line_is_not_yielded() -> None:
    raw = zstandard.ZstdCompressor().compress(b"um\r\ndois\n\nquatro")
    assert list(lines(bounded(BytesIO(raw)))) == [
        (1, b"um"),
        (2, b"dois"),
        (3, b""),
        (4, b"quatro"),
    ]
    member = gzip.compress(b"um\ndois\n") + gzip.compress(b"tr\xc3\xaas e mais")[:-6]
    found = []
    with pytest.raises(TruncatedError):
        for number, line in lines(bounded(BytesIO(member))):
            found.append((number, line))
    assert found == [(1, b"um"), (2, b"dois")]


def test_an_overlong_line_is_skipped_and_the_next_is_read() -> None:
    data = b"a" * 300_000 + b"\nfim\n"
    assert list(lines(bounded(BytesIO(data)), max_line=1000)) == [(1, None), (2, b"fim")]


def test_an_xz_stream_that_wants_too_much_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compressed, "XZ_MEMORY", 1_000_000)
    got, error = _drain(bounded(BytesIO(lzma.compress(TEXT, preset=6))))
    assert got == b""
    assert isinstance(error, CorruptError)
