from __future__ import annotations

import re
from xml.etree import ElementTree

from tagarela_dagster.corpus.flow import sankey
from tagarela_dagster.corpus.ledger import Ledger


def account(stage: str, source: str, documents: int, dropped: dict[str, int]) -> Ledger:
    ledger = Ledger(stage, source, "2026", documents, documents * 10)
    for reason, count in dropped.items():
        ledger.drop(reason, count, count * 10)
    ledger.documents_kept = documents - sum(dropped.values())
    ledger.bytes_kept = ledger.documents_kept * 10
    return ledger


def test_every_source_stage_and_reason_stands_in_the_picture_with_its_count() -> None:
    reasons = {"language": 30, "empty": 9, "top_2_gram": 8, "gopher_short_doc": 7, "a": 2, "b": 1}
    svg = sankey(
        [
            account("documents", "oscar", 100, {}),
            account("documents", "livros & cia", 50, {}),
            account("measured", "oscar", 100, {}),
            account("filtered", "oscar", 100, reasons),
            account("clean", "oscar", 43, {}),
        ]
    )
    labels = [node.text for node in ElementTree.fromstring(svg).iter() if node.text]
    assert labels[:2] == ["oscar 100", "livros & cia 50"]
    assert {"documents 150", "filtered 100", "language 30", "2 more reasons 3", "43"} <= set(labels)
    assert not [label for label in labels if label.startswith("measured")], "it only edits"


def test_bands_are_as_high_as_their_documents() -> None:
    svg = sankey([account("filtered", "oscar", 100, {"language": 25})])
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([0-9.]+)"', svg)]
    assert heights[1] / heights[0] == 0.75


def test_without_documents_there_is_no_picture() -> None:
    assert sankey([]) == ""
    assert sankey([account("documents", "oscar", 0, {})]) == ""
