"""Hostile documents beside ordinary ones: through every station, with every option on.

None crashes or stalls the engine, and none changes what becomes of another document.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagarela_dagster.corpus import reading
from tagarela_dagster.corpus.decontamination import make_kernel
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.document import SIGNALS, Document
from tagarela_dagster.corpus.filtering.measure import Measure
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.evals.last_word import load_items
from tagarela_dagster.recipe.load import load_recipe
from tagarela_dagster.resources.road import Road
from tests.corpus.hostile import HOSTILE, repeated
from tests.corpus.models.texts import passages
from tests.corpus.rows import batch
from tests.corpus.whole_road import build
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot

EVERYTHING = """\
corpus:
  c4: {{enabled: true}}
  madlad: {{enabled: true}}
  pii: {{kinds: [email, ip, cpf, cnpj, nif, iban, card, phone, cep]}}
  repetition: {{enabled: true}}
  portuguese:
    unicode: {{rejoin_hyphenated: [jornal]}}
    transcripts: {{sources: [jornal], remove_speakers: true}}
    limits: {{boilerplate_ratio: 0.9, adult_hits: 90, slur_hits: 90, spam_hits: 90,
             ocr_ratio: 0.9, replacement_chars: 900}}
  models:
    variety: {{data: [{{path: "{folder}/rotulos.jsonl", group: doc}}], features: {{bits: 14}}}}
    perplexity: {{sources: [diario], order: 3, held_out: 0.3}}
    classifiers:
      cuidado: {{data: [{{path: "{folder}/rotulos.jsonl", label: side, group: doc}}],
                features: {{bits: 12}}}}
  dedup: {{order: [quality, newest, rank, snapshot, id], newest_capture: true}}
  decontamination: {{action: mask, mismatches: 1, min_words: 20}}
"""
KEY = "jornal@2026-01"
KILOBYTES = 12
LONG_LINE = 8_000_000
SECONDS = 10
"""Most processor time of one document of half a megabyte; the slowest takes a twentieth of it, and
one whose time grows with the square of its length takes minutes."""
BYTES = int(os.environ.get("TAGARELA_HOSTILE_BYTES", "500000"))


def ordinary() -> list[Document]:
    """Documents of all fates: kept, edited, dropped, duplicates, older captures, contaminated."""
    draw = random.Random(5)
    (task, *_) = load_recipe("sample").evals.last_word.values()
    texts = ["\n\n".join(draw.sample(PARAGRAPHS, 3)) for _ in range(20)]
    texts += [texts[0], texts[1].replace("comboio", "trem"), "Não há mais nada."]
    texts.append(f"{texts[2]}\nEscreva para nome@exemplo.pt ou ligue +351 912 345 678.")
    texts.append(f"{texts[3]}\nLegendas: fulano\n(risos)\nJOÃO: Não sei.\nAceitar cookies\n")
    texts.append(f"{texts[4]}\n\n{load_items(task).items[0].sentence}\n\n{PARAGRAPHS[0]}")
    texts.append(f"{texts[5]}\nNÃ£o desen-\nvolveu o cafe\u0301.")
    return [
        Document(
            f"o{number}",
            text,
            url=f"https://exemplo.pt/{number // 2}" if number % 5 else None,
            date=datetime.date(2020, 1, 1 + number % 3),
        )
        for number, text in enumerate(texts)
    ]


def hostile() -> list[Document]:
    """One of each kind, the line of 8 MB, and the same text composed and decomposed."""
    found = [Document(f"h{name}", make(KILOBYTES * 1000)) for name, make in HOSTILE.items()]
    found.append(Document("hlong_line", HOSTILE["one_line"](LONG_LINE)))
    found.append(Document("hsurrogate", "meio \ud800 par"))
    return found


def interleaved(one: Sequence[Document], other: Sequence[Document]) -> Iterator[Document]:
    """Two of ``other`` after each of ``one``, then those that are left."""
    rest = iter(other)
    for document in one:
        yield document
        yield from (found for _ in range(2) if (found := next(rest, None)))
    yield from rest


def build_road(folder: Path, documents: Sequence[Document], patch: pytest.MonkeyPatch) -> Road:
    """The whole road, with ``documents`` as what the reader of ``jornal`` yields."""
    rows = [
        {
            "text": passage.text,
            "variety": passage.label,
            "side": "positive" if passage.label == "pt-PT" else "negative",
            "doc": passage.document,
        }
        for passage in passages()
    ]
    folder.mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rotulos.jsonl").write_text(lines, encoding="utf-8")
    write_snapshot(folder, "diario@2026-01", PARAGRAPHS)
    write_snapshot(folder, KEY, PARAGRAPHS[:1])
    real = reading.reader

    def reader(name: str) -> Any:
        def read(unit: Any, source: Any) -> Iterator[Any]:
            is_ours = "jornal" in unit.files[0].path.parts
            yield from iter(documents) if is_ours else real(name).read(unit, source)

        return SimpleNamespace(read=read)

    patch.setattr(reading, "reader", reader)
    road = open_road(folder, EVERYTHING.format(folder=folder))
    build(road)
    patch.setattr(reading, "reader", real)
    return road


def rows_of(road: Road, asset: str, prefix: str) -> list[dict[str, Any]]:
    tables = [pq.read_table(p) for p in road.lake.paths(road.lake.require(asset, KEY), prefix)]
    for table in tables:
        table.validate(full=True)
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Road, Road]:
    """The road of the ordinary documents alone, and with the hostile ones between them."""
    folder = tmp_path_factory.mktemp("hostis")
    with pytest.MonkeyPatch.context() as patch:
        alone = build_road(folder / "sozinhos", ordinary(), patch)
        beside = build_road(folder / "juntos", list(interleaved(ordinary(), hostile())), patch)
    return alone, beside


PLACES = {
    "measured": "kept/",
    "signatures": "signatures/",
    "filtered": "decisions/",
    "deduped": "decisions/",
    "clean": "kept/",
}


@pytest.mark.parametrize("asset", PLACES)
def test_hostile_documents_change_nothing_of_the_others(
    roads: tuple[Road, Road], asset: str
) -> None:
    alone, beside = (rows_of(road, asset, PLACES[asset]) for road in roads)
    ids = {row["id"] for row in rows_of(roads[0], "measured", "kept/")}
    assert len(ids) == len(ordinary())
    assert [row for row in beside if row["id"] in ids] == alone


def test_ordinary_documents_have_all_fates(roads: tuple[Road, Road]) -> None:
    """Else the test above would say little."""
    road = roads[0]
    reasons = {row["reason"] for row in rows_of(road, "deduped", "decisions/")}
    assert reasons >= {None, "exact_duplicate", "near_duplicate", "older_capture", "top_3_gram"}
    measured = rows_of(road, "measured", "kept/")
    edits = {name for row in measured for name, size in row["removed"].items() if size}
    assert {"cleanup", "unicode", "dehyphenated", "transcript", "boilerplate", "pii"} <= edits
    ledger = Ledger.from_json(road.lake.require("clean", KEY).counts["ledger"])
    assert ledger.edits["decontaminated"] > 0
    never = {name for name in SIGNALS if all(row["quality"][name] is None for row in measured)}
    assert never == {"harmful_pp", "score_2", "score_3", "score_4"}


def test_every_hostile_document_is_accounted_for(roads: tuple[Road, Road]) -> None:
    road = roads[1]
    ledgers = {
        asset: Ledger.from_json(road.lake.require(asset, KEY).counts["ledger"])
        for asset in ("documents", "measured", "filtered", "deduped", "clean")
    }
    for ledger in ledgers.values():
        ledger.check()
    blank = {"empty_lines", "blanks", "spaces"}
    documents = ledgers["documents"]
    assert documents.documents_in == len(ordinary()) + len(HOSTILE) + 2
    assert {reason: tally.documents for reason, tally in documents.dropped.items()} == {
        "empty": len(blank),
        "quarantined_encoding": 1,
    }
    assert ledgers["measured"].documents_kept == documents.documents_kept


@pytest.fixture(scope="module")
def engine(roads: tuple[Road, Road]) -> tuple[Measure, Signer, Any]:
    """What looks at text: the steps of measuring, the signer, the search for benchmark items."""
    road = roads[0]
    corpus = road.recipe.corpus
    models = {name: road.lake.data(name) for name in corpus.models.assets}
    items = road.lake.paths(road.lake.require("benchmarks"), "items/")
    kernel = make_kernel(items, corpus.decontamination)
    return Measure(corpus, None, models), Signer(corpus.dedup.minhash), kernel


@pytest.mark.parametrize("name", [*HOSTILE, "benchmark_items"])
def test_each_hostile_document_takes_seconds(
    engine: tuple[Measure, Signer, Any], name: str
) -> None:
    measure, signer, decontaminate = engine
    (task, *_) = load_recipe("sample").evals.last_word.values()
    text = HOSTILE.get(name) or repeated(load_items(task).items[0].sentence + " ")
    documents = batch((text(BYTES),), source="jornal")
    start = time.process_time()
    measured = measure(documents)
    signer.sign(measured.column("text"))
    cleaned = decontaminate(documents)
    assert time.process_time() - start < SECONDS * max(1, BYTES / 500_000)
    for table in (measured, cleaned.documents):
        pa.Table.from_batches([table]).validate(full=True)
