"""Whatever is done to an archive's bytes, the reader goes on and names the damage."""

from __future__ import annotations

import gzip
import random
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.sources.warc_records import RawRecord, read_records
from tests.corpus.native_files import damaged
from tests.corpus.sources.web_pages import PAGE, members, read

NAMED = re.compile(r"^(?:truncated|corrupt|bomb|bad_record|bad_length|garbage|empty_file)$")
PAGES = 12


def archive(folder: Path, gz: bool) -> bytes:
    path = folder / ("a.warc.gz" if gz else "a.warc")
    fill = "".join(random.Random(1).choices("abcdefghij \n", k=2000))
    members(path, *[{"body": PAGE + f"<!-- {number} {fill} -->"} for number in range(9)], gz=gz)
    return path.read_bytes()


with tempfile.TemporaryDirectory() as _folder:
    ARCHIVES = {gz: archive(Path(_folder), gz) for gz in (True, False)}

positions = st.floats(min_value=0, max_value=1, exclude_max=True)
edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "zero"]), positions, st.integers(1, 400)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.sampled_from([True, False]), edits)
def test_damaged_bytes_are_named_and_what_is_whole_is_read(
    gz: bool, changes: list[tuple[str, float, int]]
) -> None:
    data = damaged(ARCHIVES[gz], changes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc.gz"
        path.write_bytes(data)
        found = list(read_records(path, 1_000_000))
    for record in found:
        if not isinstance(record, RawRecord):
            assert NAMED.match(record.reason), record.reason
            assert 0 <= record.bytes <= len(data)
    # Each edit reaches into two records at most.
    whole = [record for record in found if isinstance(record, RawRecord)]
    assert len(whole) >= 9 - 2 * len(changes) - (0 if gz else len(changes))
    if gz and data != ARCHIVES[True] and len(whole) < 9:
        assert len(found) > len(whole)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.binary(max_size=3000), st.booleans())
def test_bytes_that_are_no_archive_at_all_are_no_error(data: bytes, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc.gz"
        path.write_bytes(gzip.compress(data) if packed else data)
        found = list(read_records(path, 1_000_000))
    assert found or packed or data.strip() == b""


def test_damaged_pages_reach_no_reader_as_an_exception() -> None:
    random_source = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc"
        for _ in range(30):
            body = bytearray(PAGE.encode() * random_source.randint(1, 3))
            for _ in range(random_source.randint(1, 60)):
                body[random_source.randrange(len(body))] = random_source.randrange(256)
            members(path, {"body": bytes(body)}, gz=False)
            documents, rejected = read(path)
            assert len(documents) + len(rejected) == 1
