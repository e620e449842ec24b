"""Decontamination of batches: documents with a benchmark item are dropped, or lose it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tagarela_dagster.corpus.datatrove.batch import record_batch
from tagarela_dagster.corpus.datatrove.rules import BATCH, Result
from tagarela_dagster.corpus.decontamination.kernel import META_KEY, make_kernel
from tagarela_dagster.corpus.stage import Kernel
from tagarela_dagster.recipe.decontamination import Decontamination


class DecontaminationFilter(BaseFilter):
    """Drop documents that share a run of words with a benchmark item, or mask the run.

    Reason, statistics and metadata of a dropped document are those of datatrove's
    NGramsDecontFilter (``contaminated``, ``contaminated_task``, ``contaminated_ngram``); every
    document with a match has all of them in ``metadata["contamination"]``.

    Args:
        items: ``TASK.jsonl`` files, or a folder of them: a line is ``{"text": ...}`` with a text
            or the list of an item's parts, or ``{"sentence": ..., "last_word": ...}``.
        config: what a match is, and what happens to it.

    Raises:
        FileNotFoundError: no such files.
    """

    type = "🦠 - DECONT"
    name = "💥 Benchmarks"

    def __init__(
        self,
        items: str | Path | Sequence[str | Path],
        config: Decontamination | None = None,
        exclusion_writer: DiskWriter | None = None,
        batch_size: int = BATCH,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        given = [items] if isinstance(items, str | Path) else items
        self.files = [file for place in given for file in _files(Path(place))]
        self.config = config or Decontamination()
        self._kernel: Kernel | None = None

    def filter(self, doc: Document) -> Result:
        """Judge one document; ``filter_batch`` is the faster way."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[Result]:
        """Search documents together; texts of masked ones are changed in place."""
        self._kernel = self._kernel or make_kernel(self.files, self.config)
        outcome = self._kernel(record_batch(batch))
        columns = (outcome.documents.column(name).to_pylist() for name in ("text", "meta"))
        results: list[Result] = []
        for document, text, meta, reason in zip(
            batch, *columns, outcome.reasons.to_pylist(), strict=True
        ):
            matches = json.loads(meta).get(META_KEY, [])
            if matches:
                document.metadata[META_KEY] = matches
            if reason is None:
                if any(match["action"] == "mask" for match in matches):
                    document.text = text
                results.append(True)
                continue
            first = next(m for m in matches if m["covered"] >= self.config.min_covered)
            run = text.encode()[first["begin"] : first["end"]].decode()
            document.metadata["contaminated_ngram"] = run
            document.metadata["contaminated_task"] = first["task"]
            self.stat_update(f"contaminated_{first['task']}")
            results.append((False, "contaminated"))
        return results


def _files(place: Path) -> list[Path]:
    found = sorted(place.glob("*.jsonl")) if place.is_dir() else [place] * place.is_file()
    if not found:
        raise FileNotFoundError(
            f"{place} is no .jsonl file of benchmark items, nor a folder of them"
        )
    return found
