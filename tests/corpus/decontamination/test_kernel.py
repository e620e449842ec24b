from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus.cleaning import clean_partition
from tagarela_dagster.corpus.decontamination import make_kernel
from tagarela_dagster.corpus.decontamination.items import BenchmarkError
from tagarela_dagster.corpus.decontamination.kernel import reason
from tagarela_dagster.corpus.decontamination.mask import cut_out
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.stage import DECISION_SCHEMA, Outcome
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import Lake
from tagarela_dagster.recipe.decontamination import Decontamination
from tests.corpus.decontamination.copies import BAKER, ISLAND, write_items

BEFORE = "Um texto escrito à mão numa tarde de chuva."
AFTER = "Depois parou."


def documents(*texts: str) -> pa.RecordBatch:
    rows = [Document(str(i), text).row("blogues", "2026") for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def judge(folder: Path, *texts: str, **section: Any) -> Outcome:
    return make_kernel([write_items(folder)], Decontamination(**section))(documents(*texts))


def contamination(outcome: Outcome, row: int) -> Any:
    return json.loads(outcome.documents.column("meta")[row].as_py()).get("contamination")


def test_a_document_with_an_item_is_dropped_and_carries_its_matches(tmp_path: Path) -> None:
    outcome = judge(tmp_path, BEFORE, f"{BEFORE} {BAKER} pão. {ISLAND} faroleiro.")
    assert outcome.reasons.to_pylist() == [None, "benchmark_ultima_palavra"]
    assert outcome.edits == {}
    assert contamination(outcome, 0) is None
    begin = len(f"{BEFORE} ".encode())
    match = {"task": "ultima_palavra", "covered": 1.0, "action": "drop"}
    assert contamination(outcome, 1) == [
        match | {"item": "p", "words": 26, "begin": begin, "end": begin + 137},
        match | {"item": "i", "words": 12, "begin": begin + 139, "end": begin + 198},
    ]


def test_masking_cuts_whole_sentences_and_books_the_bytes(tmp_path: Path) -> None:
    text = f"{BEFORE} Lido: {ISLAND} faroleiro (só).\n{BEFORE} {AFTER}"
    outcome = judge(tmp_path, text, BEFORE, action="mask", min_words=5)
    left = f"{BEFORE}\n{BEFORE} {AFTER}"
    assert outcome.documents.column("text").to_pylist() == [left, BEFORE]
    assert outcome.reasons.to_pylist() == [None, None]
    assert outcome.edits == {"decontaminated": len(text.encode()) - len(left.encode())}
    assert [m["action"] for m in contamination(outcome, 0)] == ["mask"]


def test_a_masked_document_with_too_few_words_left_is_dropped(tmp_path: Path) -> None:
    texts = (f"{AFTER} {ISLAND} faroleiro. {AFTER}", f"{ISLAND} faroleiro.")
    kept = judge(tmp_path, *texts, action="mask", min_words=4)
    assert kept.reasons.to_pylist() == [None, "benchmark_ultima_palavra"]
    dropped = judge(tmp_path, *texts, action="mask", min_words=5)
    assert dropped.reasons.to_pylist() == ["benchmark_ultima_palavra"] * 2
    assert dropped.documents.column("text").to_pylist() == list(texts)
    assert contamination(dropped, 0)[0]["action"] == "drop"


def test_what_a_cut_brings_together_is_cut_too(tmp_path: Path) -> None:
    halves = BAKER.replace("-", " ").split()
    inner = f"Então, {ISLAND} faroleiro."
    text = f"{BEFORE}\n{' '.join(halves[:7])}. {inner} {' '.join(halves[7:15])}.\n{AFTER}"
    outcome = judge(tmp_path, text, action="mask", min_words=1)
    left = outcome.documents.column("text")[0].as_py()
    assert left == f"{BEFORE}\n{AFTER}"
    assert judge(tmp_path, left, action="report").documents.column("meta")[0].as_py() == "{}"


def test_report_changes_nothing_and_says_what_is_there(tmp_path: Path) -> None:
    text = f"{BEFORE} {ISLAND} faroleiro."
    outcome = judge(tmp_path, text, action="report")
    assert outcome.reasons.to_pylist() == [None]
    assert outcome.documents.column("text").to_pylist() == [text]
    assert contamination(outcome, 0)[0]["action"] == "report"


def test_a_quotation_too_short_for_its_item_is_reported_and_stays(tmp_path: Path) -> None:
    words = BAKER.split()
    texts = [f"{BEFORE} {' '.join(words[:n])}" for n in (13, 20)]
    outcome = judge(tmp_path, *texts, min_covered=0.6)
    assert outcome.reasons.to_pylist() == [None, "benchmark_ultima_palavra"]
    assert [contamination(outcome, row)[0]["action"] for row in (0, 1)] == ["report", "drop"]


def test_the_stage_balances_for_every_action(tmp_path: Path) -> None:
    other = [{"text": "Quantos quilómetros quadrados tem o concelho de Alcácer do Sal em 2021"}]
    files = [write_items(tmp_path), write_items(tmp_path, "Prova-OAB.2", other)]
    texts = (BEFORE, f"{other[0]['text']}? {BAKER} pão.", f"{BEFORE} {BEFORE}\n{BAKER} pão.")
    measured, decisions = tmp_path / "0.parquet", tmp_path / "0.decisions"
    pq.write_table(pa.Table.from_batches([documents(*texts)]), measured)
    kept = [{"id": str(i), "bytes": len(text)} for i, text in enumerate(texts)]
    pq.write_table(pa.Table.from_pylist(kept, DECISION_SCHEMA), decisions)
    shard = ShardInput("0", (measured, decisions), ("", ""))
    dropped = {}
    for action in ("drop", "mask", "report"):
        lake = Lake(tmp_path / action)
        section = Decontamination(action=action, min_words=10)
        with lake.write("clean", "blogues@2026", code_version="", section={}, inputs={}) as writer:
            manifest = clean_partition(writer, [shard], partial(make_kernel, files, section))
        dropped[action] = manifest.counts["ledger"]["dropped"]
    assert dropped == {
        "drop": {"benchmark_prova_oab_2": 1, "benchmark_ultima_palavra": 1},
        "mask": {"benchmark_prova_oab_2": 1},
        "report": {},
    }


def test_switched_off_it_searches_for_nothing(tmp_path: Path) -> None:
    outcome = judge(tmp_path, f"{BAKER} pão", enabled=False)
    assert outcome.reasons.to_pylist() == [None]
    assert contamination(outcome, 0) is None


def test_a_malformed_file_is_refused_when_the_kernel_is_made(tmp_path: Path) -> None:
    path = write_items(tmp_path, "faquad", [{"question": "Quem?"}])
    with pytest.raises(BenchmarkError, match=r"faquad\.jsonl, line 1: an item needs `text`"):
        make_kernel([path], Decontamination())


def test_reasons_are_plain_names() -> None:
    assert reason("Última palavra (pt-PT)") == "benchmark_ultima_palavra_pt_pt"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Um. [dois] três. Quatro.", "Um. Quatro."),
        ("Um. [dois]", "Um."),
        ("Um\n[dois]\nTrês", "Um\nTrês"),
        ("Um. [dois.\nTrês] quatro. Cinco", "Um. Cinco"),
        ("[A]. [B].\nC", "C"),
        ("Um… «[Dois]!» Três", "Um… Três"),
        ("Custa 1.500 [euros] e tal. Sim", "Sim"),
        ("[Um]. Dois. [Três]. Quatro", "Dois. Quatro"),
        ("[Tudo]", ""),
    ],
)
def test_runs_are_cut_with_their_sentence_or_line(text: str, left: str) -> None:
    data = text.encode()
    opened = [i for i, byte in enumerate(data) if byte == ord("[")]
    closed = [i for i, byte in enumerate(data) if byte == ord("]")]
    spans = [
        (a - 2 * k, b - 2 * k - 1) for k, (a, b) in enumerate(zip(opened, closed, strict=True))
    ]
    plain = data.replace(b"[", b"").replace(b"]", b"")
    assert cut_out(plain, np.array(spans, np.int64)).decode() == left


def test_a_masked_text_is_free_of_items_whatever_stands_around_them(tmp_path: Path) -> None:
    sentences = [BEFORE, f"{BAKER} pão.", AFTER, f"{ISLAND} faroleiro!", "Sr. Silva", "\n", "Fim"]
    texts = [
        " ".join(sentences[k:] + sentences[:k]) + "\n" * (k % 2) + " ".join(sentences[::-1])
        for k in range(len(sentences))
    ]
    outcome = judge(tmp_path, *texts, action="mask", min_words=1)
    assert outcome.reasons.null_count == len(texts)
    removed = pc.sum(pc.binary_length(pa.array(texts))).as_py()
    removed -= pc.sum(pc.binary_length(outcome.documents.column("text"))).as_py()
    assert outcome.edits == {"decontaminated": removed}
    again = judge(tmp_path, *outcome.documents.column("text").to_pylist(), action="report")
    assert set(again.documents.column("meta").to_pylist()) == {"{}"}
