"""The whole of a recipe's filtering as one datatrove filter.

    pipeline = [ParquetReader("in"), TagarelaFilter(Corpus()), ParquetWriter("out")]

One filter does what FineWeb-2 does with five (language, repetition, two quality filters, PII),
with datatrove's reason names in its statistics.
"""

from __future__ import annotations

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from tagarela_dagster.corpus.datatrove.batch import record_batch
from tagarela_dagster.corpus.filtering.kernel import make_kernel
from tagarela_dagster.corpus.stage import Kernel
from tagarela_dagster.recipe.corpus import Corpus
from tagarela_dagster.recipe.filtering import Licenses


class TagarelaFilter(BaseFilter):
    """Filter, clean and protect documents by a recipe's corpus section.

    Kept documents get their cleaned text and, in ``metadata``, ``language``, ``language_score``
    and ``quality`` (signal -> value). Dropped ones keep their text.

    Args:
        corpus: the sections of the recipe; default FineWeb-2's Portuguese thresholds. Overrides
            follow ``metadata["source"]``.
        license_key: metadata key that holds the licence. Without one there is no licence gate.
    """

    name = "🦜 Tagarela"

    def __init__(
        self,
        corpus: Corpus | None = None,
        license_key: str | None = None,
        exclusion_writer: DiskWriter | None = None,
        batch_size: int = 200,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        corpus = corpus or Corpus()
        if license_key is None:
            corpus = corpus.model_copy(update={"licenses": Licenses(require=False)})
        self.corpus = corpus
        self.license_key = license_key
        self._kernel: Kernel | None = None

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Judge one document; ``filter_batch`` is the faster way."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Judge documents together; texts and metadata of kept ones are changed in place."""
        # Made in the process that runs it: a pipeline is pickled on its way to the workers.
        self._kernel = self._kernel or make_kernel(self.corpus)
        outcome = self._kernel(record_batch(batch, self.license_key))
        results: list[bool | tuple[bool, str]] = []
        changed = outcome.documents.select(["text", "language", "language_score", "quality"])
        for document, row, reason in zip(
            batch, changed.to_pylist(), outcome.reasons.to_pylist(), strict=True
        ):
            if reason is not None:
                results.append((False, reason))
                continue
            document.text = row.pop("text")
            row["quality"] = {k: v for k, v in row["quality"].items() if v is not None}
            document.metadata.update(row)
            results.append(True)
        return results
