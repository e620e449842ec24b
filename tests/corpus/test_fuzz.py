"""Every reader on damaged files, every step on hostile texts: no crash, no hang, no influence.

``make fuzz`` runs the same for long: TAGARELA_FUZZ is the number of cases a test takes.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagarela_dagster.corpus.decontamination import make_kernel
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.document import Rejected
from tagarela_dagster.corpus.filtering.measure import Measure
from tagarela_dagster.corpus.filtering.work import measured_bytes
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.reading import read_partition
from tagarela_dagster.corpus.sources.registry import READERS, plan, reader
from tagarela_dagster.corpus.sources.unit import RawFile
from tagarela_dagster.corpus.stage import Kernel
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.sources import Source
from tests.corpus.hostile import BLANKS, CONTROLS, HOSTILE, MARKS
from tests.corpus.native_files import KINDS, damaged, damaged_inside, native
from tests.corpus.rows import batch
from tests.corpus.test_hostile_documents import build_road, ordinary
from tests.resources.two_sources import PARAGRAPHS

CASES = int(os.environ.get("TAGARELA_FUZZ", "0"))
HANG_SECONDS = 60
"""Processor time after which a case hangs; the slowest sound one takes two."""


def fuzzed(cases: int) -> settings:
    """So many cases in the suite, TAGARELA_FUZZ in a long run, which draws anew every time."""
    return settings(
        max_examples=CASES or cases,
        deadline=None,
        derandomize=not CASES,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail when the block takes more than HANG_SECONDS of processor time."""

    def ring(_signal: int, _frame: Any) -> None:
        raise TimeoutError(f"more than {HANG_SECONDS} s of processor time")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


CHANGES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True), st.integers(1, 600)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", sorted(native()))
def test_damaged_files_are_read_as_far_as_they_go_and_the_rest_is_named(name: str) -> None:
    sample = native()[name]

    @fuzzed(6)
    @given(st.sampled_from(sorted(sample.files)), st.booleans(), CHANGES)
    def case(file: str, inside: bool, changes: list) -> None:
        data = (damaged_inside if inside else damaged)(sample.files[file], changes)
        with tempfile.TemporaryDirectory() as name, no_hang():
            folder = Path(name)
            raw = []
            for other, content in sample.files.items():
                path = folder / "snapshot" / other
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data if other == file else content)
                raw.append(RawFile(path, other, path.stat().st_size))
            lake = Lake(folder / "lake")
            with lake.write("documents", "fonte@1", code_version="", section={}, inputs={}) as out:
                units = plan(raw, sample.source)
                manifest = read_partition(
                    out, units, sample.source, shard_bytes=10**6, max_document_bytes=10**7
                )
            check_account(lake, manifest, {unit.name for unit in units} | set(sample.files))

    case()


def check_account(lake: Lake, manifest: Any, names: set[str]) -> None:
    """Every record is a row or is booked; what is quarantined says where it was."""
    ledger = Ledger.from_json(manifest.counts["ledger"])
    ledger.check()
    rows = 0
    for path in lake.paths(manifest, "kept/"):
        table = pq.read_table(path)
        table.validate(full=True)
        rows += len(table)
    assert rows == ledger.documents_kept
    quarantined = 0
    for path in lake.paths(manifest, "quarantine/"):
        for line in path.open(encoding="utf-8", newline="\n"):
            record = json.loads(line)
            assert record["file"].partition("!")[0] in names, record
            assert record["offset"], record
            assert record["reason"].isidentifier(), record
            quarantined += 1
    assert quarantined == ledger.quarantined


def test_every_reader_has_files_here() -> None:
    assert {case.source.reader for case in native().values()} == set(READERS) - {"hub"}


MARKED = {
    "files/a.md": ({}, "{}"),
    "files/lines": ({}, "{}"),
    "files/a.txt": ({"unwrap": True, "tokenised": True}, "{}"),
    "files/a.po": ({}, 'msgid "a"\nmsgstr "{}"\n'),
    "files/a.srt": ({}, "1\n00:00:01,000 --> 00:00:03,500\n{}"),
}
"""Formats whose text is searched for marks, with options, and how a text stands in a file."""
STALLING = ("spaces", "blanks", "empty_lines", "equal_lines", "one_word_lines", "colons")
STALL_SECONDS = 8
"""Most processor time of 200 kB: what took more than a minute takes a second."""


@pytest.mark.parametrize("name", MARKED)
@pytest.mark.parametrize("kind", STALLING)
def test_a_long_text_stalls_no_reader(name: str, kind: str, tmp_path: Path) -> None:
    options, form = MARKED[name]
    sample = native()[name]
    source = sample.source.model_copy(update={"options": sample.source.options | options})
    (file,) = sample.files
    text = HOSTILE[kind](200_000)
    if name == "files/a.po":
        text = text.replace("\r", "").replace("\n", "\\n")
    path = tmp_path / file
    path.write_bytes(form.format(text).encode())
    (unit,) = plan([RawFile(path, file, path.stat().st_size)], source)
    start = time.process_time()
    with no_hang():
        list(reader("files").read(unit, source))
    assert time.process_time() - start < STALL_SECONDS


def test_what_stalls_a_parser_all_the_same_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text("1\to\to\tDET\t_\t_\t2\tdet\t_\t_\n" * 50_000)
    source = Source(reader="files", path="p", license="CC0-1.0", options={"deadline_s": 0.02})
    (unit,) = plan([RawFile(path, "a.conllu", path.stat().st_size)], source)
    (found,) = reader("files").read(unit, source)
    assert isinstance(found, Rejected)
    assert (found.file, found.offset, found.reason) == ("a.conllu", "byte 0", "deadline")


ALPHABETS = (
    "abcdeoãéçÁ ",
    " \n.,;:!?-'\"()",
    "0123456789.-/ +",
    CONTROLS + "\n",
    MARKS + BLANKS,
    "\u200b\u200d\u00ad\ufeff\u0301\u0323\u0344 e\n",
    "ÃÂ©§£ã€™œ\x81 ",
    "[]{}|='<>/&;#*",
    "@.:/abcptw-_ ",
    "\ufffd\uffff\U0010ffffİßŸﬀ𝕏日本",
)
PIECE = st.one_of(
    *(st.text(alphabet, max_size=40) for alphabet in ALPHABETS),
    st.text(max_size=40),
    st.sampled_from([word for text in PARAGRAPHS for word in (text, text[:60], text.split()[3])]),
    st.sampled_from([make(60)[:200] for make in HOSTILE.values()]),
)
TEXT = st.builds(
    lambda pieces, times, end: "".join(pieces * times) + end,
    st.lists(PIECE, max_size=8),
    st.sampled_from([1, 1, 1, 2, 30]),
    PIECE,
)
ORDINARY = ordinary()[-3].text


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measure, Signer, Kernel]:
    """What looks at texts: every step with every option on, the signer, the decontamination."""
    with pytest.MonkeyPatch.context() as patch:
        road = build_road(tmp_path_factory.mktemp("fuzz") / "f", ordinary()[:3], patch)
    corpus = road.recipe.corpus
    models = {name: road.lake.data(name) for name in corpus.models.assets}
    items = road.lake.paths(road.lake.require("benchmarks"), "items/")
    kernel = make_kernel(items, corpus.decontamination)
    return Measure(corpus, None, models), Signer(corpus.dedup.minhash), kernel


def test_no_text_crashes_a_step_or_changes_its_neighbour(
    engine: tuple[Measure, Signer, Kernel],
) -> None:
    measure, signer, kernel = engine

    def results(*texts: str) -> list[list[Any]]:
        documents = batch(texts, source="jornal")
        measured = measure(documents)
        sizes = measured_bytes(measured)
        assert sizes.equals(pc.binary_length(measured.column("text")).cast(pa.int64()))
        outcome = kernel(documents)
        for table in (measured, outcome.documents):
            pa.Table.from_batches([table]).validate(full=True)
        made = measured.drop_columns(["id"]).to_pylist()
        clean = outcome.documents.drop_columns(["id"]).to_pylist()
        signed = signer.sign(measured.column("text"))
        columns = (signed.exact, signed.normalized, signed.words, signed.signed, signed.bands)
        hashes = [[column[row].tolist() for column in columns] for row in range(len(texts))]
        reasons = outcome.reasons.to_pylist()
        return [list(found) for found in zip(made, clean, reasons, hashes, strict=True)]

    (alone,) = results(ORDINARY)

    @fuzzed(40)
    @given(st.lists(TEXT, min_size=1, max_size=3))
    def case(texts: list[str]) -> None:
        with no_hang():
            first, *found, last = results(ORDINARY, *texts, ORDINARY)
            assert first == last == alone
            assert [results(text)[0] for text in texts] == found

    case()
