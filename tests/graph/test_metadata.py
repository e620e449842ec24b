"""What the page is told of partitions that are out of the ordinary."""

from __future__ import annotations

from pathlib import Path

from tagarela_dagster.assets.tokens import _describe_tokens
from tagarela_dagster.corpus.ledger import Ledger
from tests.resources.two_sources import PARAGRAPHS, open_road, write_snapshot


def test_a_snapshot_of_which_every_document_was_dropped_has_tokens_to_tell_of(
    tmp_path: Path,
) -> None:
    write_snapshot(tmp_path, "jornal@2026-01", PARAGRAPHS[:1])
    road = open_road(tmp_path)
    counts = {"ledger": Ledger("tokens", "jornal", "2026-01").as_json(), "tokens": 0}
    arguments = {"code_version": "c", "section": {}, "inputs": {}}
    with road.lake.write("tokens", "jornal@2026-01", **arguments) as writer:
        manifest = writer.publish([], {**counts, "fertility": []})
    told = _describe_tokens(road, manifest)
    assert (told["tokens"], told["documents_kept"], "fertility" in told) == (0, 0, False)
