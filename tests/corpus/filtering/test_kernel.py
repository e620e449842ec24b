from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, SIGNALS, Document
from tagarela_dagster.corpus.filtering.kernel import make_kernel
from tagarela_dagster.corpus.filtering.signals import RULE_SIGNALS
from tagarela_dagster.corpus.shards import text_bytes
from tagarela_dagster.corpus.stage import Outcome
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import Cleanup, Language, Licenses, Pii, Quality, Repetition
from tests.corpus.filtering.filter_prose import BUS, MARKET, REPORT
from tests.corpus.filtering.test_language import GALICIAN, SPANISH

MENU = """Página inicial do portal da câmara municipal
Contactos e moradas dos serviços de atendimento
Mapa do sítio e lista de todas as secções
Perguntas frequentes sobre impostos e licenças
Agenda de espetáculos para o mês que vem
Horário das piscinas e do pavilhão gimnodesportivo
Inscrições abertas na universidade sénior"""


def batch_of(texts: Sequence[str], **columns: Any) -> pa.RecordBatch:
    rows = [
        Document(str(number), text, license="CC0-1.0").row("fonte", "2024") | columns
        for number, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def run(texts: Sequence[str], corpus: Corpus | None = None, **columns: Any) -> Outcome:
    return make_kernel(corpus or Corpus())(batch_of(texts, **columns))


def balance(batch: pa.RecordBatch, outcome: Outcome) -> None:
    dropped = text_bytes(batch.filter(outcome.reasons.is_valid()))
    kept = text_bytes(outcome.documents.filter(outcome.reasons.is_null()))
    assert text_bytes(batch) == kept + dropped + sum(outcome.edits.values())


def test_reasons_come_in_the_order_of_the_steps() -> None:
    texts = [MARKET, "12\n34", GALICIAN, SPANISH, "Ele disse que sim. " * 40, MENU, MARKET[:150]]
    outcome = run(texts)
    assert outcome.reasons.to_pylist() == [
        None,
        "empty",
        "language",
        "language",
        "top_2_gram",
        "line_punct_ratio",
        "gopher_short_doc",
    ]
    assert outcome.documents.column("language").to_pylist()[2:4] == ["gl", "es"]


def test_rows_order_and_schema_stay() -> None:
    batch = batch_of([MARKET, "x", BUS])
    outcome = make_kernel(Corpus())(batch)
    assert outcome.documents.schema == DOCUMENT_SCHEMA
    outcome.documents.validate(full=True)
    for name in ("id", "source", "license", "meta", "date"):
        assert outcome.documents.column(name) == batch.column(name)


def test_kept_documents_are_cleaned_and_protected_and_the_bytes_balance() -> None:
    text = f"Menu\n{MARKET}\nReservas: rui@sapo.pt, no balcão ou à porta do mercado.\nMenu\n{BUS}"
    batch = batch_of([text, "Menu\n" + GALICIAN])
    outcome = make_kernel(Corpus())(batch)
    assert outcome.reasons.to_pylist() == [None, "language"]
    expected = text.replace("Menu\n", "").replace("rui@sapo.pt", "[e-mail]")
    # The dropped document keeps its menu, and its edit is not booked.
    assert outcome.documents.column("text").to_pylist() == [expected, "Menu\n" + GALICIAN]
    assert outcome.edits == {"cleanup": 10, "pii": len("rui@sapo.pt") - len("[e-mail]")}
    balance(batch, outcome)
    quality = outcome.documents.column("quality").to_pylist()
    assert quality[0]["lines_removed"] == 2 and quality[0]["pii_found"] == 1
    assert quality[1]["lines_removed"] == 1 and quality[1]["pii_found"] == 0


def test_a_repair_may_add_bytes() -> None:
    text = MARKET.replace("às sete", "\x85 sete")
    batch = batch_of([text])
    outcome = make_kernel(Corpus())(batch)
    assert outcome.documents.column("text")[0].as_py() == text.replace("\x85", "…")
    assert outcome.edits == {"encoding": -1}
    balance(batch, outcome)


def test_every_document_has_every_signal_of_the_rules_whatever_it_is_dropped_for() -> None:
    outcome = run([MARKET, MENU, GALICIAN])
    rows = outcome.documents.column("quality").to_pylist()
    assert [name for name in RULE_SIGNALS for row in rows if row[name] is None] == []


def test_signals_that_a_source_carries_stay() -> None:
    quality = dict.fromkeys(SIGNALS) | {"harmful_pp": 12.5}
    outcome = run([MARKET, MENU], quality=quality)
    assert outcome.documents.column("quality").to_pylist()[0]["harmful_pp"] == 12.5
    assert outcome.documents.column("quality").to_pylist()[1]["harmful_pp"] == 12.5


def test_batches_do_not_change_the_result() -> None:
    texts = [MARKET, MENU, BUS, GALICIAN, REPORT, "", "Menu\n" + BUS]
    together = run(texts)
    kernel = make_kernel(Corpus())
    for row, text in enumerate(texts):
        alone = kernel(batch_of([text]))
        for name in ("text", "quality", "language", "language_score"):
            assert alone.documents.column(name)[0] == together.documents.column(name)[row]
        assert alone.reasons[0] == together.reasons[row]


def test_an_empty_batch_is_no_error() -> None:
    outcome = make_kernel(Corpus())(batch_of([]))
    assert outcome.documents.num_rows == len(outcome.reasons) == 0
    assert outcome.edits == {}


@pytest.mark.parametrize(
    ("licenses", "reason"),
    [
        (Licenses(), "license_missing"),
        (Licenses(require=False), None),
        (Licenses(require=False, allow=["MIT"]), None),
    ],
)
def test_the_licence_gate_comes_first(licenses: Licenses, reason: str | None) -> None:
    outcome = run([MARKET], Corpus(licenses=licenses), license=None)
    assert outcome.reasons.to_pylist() == [reason]


def test_what_is_off_does_nothing() -> None:
    off = Corpus(
        licenses=Licenses(require=False),
        cleanup=Cleanup(enabled=False),
        language=Language(enabled=False),
        repetition=Repetition(enabled=False),
        quality=Quality(enabled=False),
        pii=Pii(enabled=False),
    )
    texts = ["Menu", GALICIAN, "rui@sapo.pt"]
    outcome = run(texts, off)
    assert outcome.reasons.to_pylist() == [None, None, None]
    assert outcome.documents.column("text").to_pylist() == texts
    assert outcome.documents.column("language").null_count == 3
    # White space alone is no document, whatever is off.
    assert run([" \n "], off).reasons.to_pylist() == ["empty"]


def test_pii_can_drop_the_document() -> None:
    text = MARKET + "\nO telefone do posto é o +351 912 345 678, das nove às cinco."
    outcome = run([text, MARKET], Corpus(pii=Pii(action="drop")))
    assert outcome.reasons.to_pylist() == ["pii", None]
    assert outcome.documents.column("text")[0].as_py() == text


def test_exempt_sources_keep_their_language_column() -> None:
    corpus = Corpus(language=Language(exempt_sources=["fonte"]))
    outcome = run([GALICIAN * 2], corpus)
    assert outcome.documents.column("language").to_pylist() == ["gl"]
    assert outcome.reasons.to_pylist() != ["language"]


def test_the_factory_can_be_sent_to_a_worker() -> None:
    factory = pickle.loads(pickle.dumps(partial(make_kernel, Corpus())))
    assert factory()(batch_of([BUS])).reasons.to_pylist() == [None]
