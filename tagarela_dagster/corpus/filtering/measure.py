"""``measured``: every document's text cleaned and protected, and every signal, before any decision.

The steps run in the order of ``steps``; each edits the texts or adds signals (filtering/work.py).
Nothing is dropped here, so that a threshold can change without any text being read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tagarela_dagster.corpus.booking import book
from tagarela_dagster.corpus.document import EDITS, MEASURED_SCHEMA
from tagarela_dagster.corpus.filtering.cleanup import Clean, Repair
from tagarela_dagster.corpus.filtering.language import Identify
from tagarela_dagster.corpus.filtering.pii import Protect
from tagarela_dagster.corpus.filtering.signals import Signals
from tagarela_dagster.corpus.filtering.work import Step, Work, measured_bytes
from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.corpus.models.steps import ScoreClassifiers, ScorePerplexity, ScoreVariety
from tagarela_dagster.corpus.portuguese.characters import Characters
from tagarela_dagster.corpus.portuguese.pages import Pages
from tagarela_dagster.corpus.shards import ShardWriter, read_batches
from tagarela_dagster.corpus.stage import ShardStage, Written, run_stage
from tagarela_dagster.provenance.alignment import ShardInput
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.corpus import Corpus

Models = Mapping[str, Path]
"""Model asset -> folder of its model."""


class Measure:
    """Measure batches: DOCUMENT_SCHEMA in, MEASURED_SCHEMA out, the same rows.

    Args:
        corpus: sections of the recipe.
        lexicon: folder in which the lexicon is kept between runs; None keeps nothing.
        models: folders of the trained models to score with, by asset.
    """

    def __init__(
        self, corpus: Corpus, lexicon: Path | None = None, models: Models | None = None
    ) -> None:
        self.steps = steps(corpus, lexicon) + model_steps(corpus, models or {})

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its texts cleaned and every signal."""
        work = Work(batch)
        for step in self.steps:
            step(work)
        return work.measured()

    def close(self) -> None:
        """Keep what steps have learned for later processes (the lexicon)."""
        for step in self.steps:
            if isinstance(step, Signals):
                step.close()


def steps(corpus: Corpus, lexicon: Path | None) -> list[Step]:
    """The steps that a recipe asks for, in their order."""
    found: list[Step] = []
    if corpus.cleanup.enabled:
        found.append(Repair(corpus.cleanup))
    found += [Characters(corpus.portuguese.unicode), Pages(corpus.portuguese)]
    if corpus.cleanup.enabled:
        found.append(Clean(corpus.cleanup))
    if corpus.language.enabled:
        found.append(Identify())
    found.append(Signals(corpus.quality.stop_words, lexicon))
    if corpus.pii.enabled:
        found.append(Protect(corpus.pii))
    return found


def model_steps(corpus: Corpus, models: Models) -> list[Step]:
    """The steps that score with the models at hand, on the text as it will stay."""
    found: list[Step] = []
    if folder := models.get("variety_model"):
        found.append(ScoreVariety(folder, corpus.models.variety))
    if folder := models.get("perplexity_model"):
        found.append(ScorePerplexity(folder))
    if folder := models.get("classifiers"):
        found.append(ScoreClassifiers(folder, list(corpus.models.classifiers)))
    return found


class MeasureStage(ShardStage):
    """Measure document shard ``rank``.

    Args:
        models: by asset, the folder and the hash of the trained models to score with.
    """

    name = "measure"

    def __init__(
        self,
        writer: PartitionWriter,
        shards: Sequence[ShardInput],
        corpus: Corpus,
        lexicon: Path | None,
        models: Mapping[str, tuple[Path, str]],
    ) -> None:
        super().__init__(writer, shards, {name: sha for name, (_, sha) in models.items()})
        self.corpus = corpus
        self.lexicon = lexicon
        self.models = {name: folder for name, (folder, _) in models.items()}

    def work(self, shard: ShardInput, ledger: Ledger) -> tuple[Written, dict[str, Any]]:
        """Write ``kept/NAME.parquet`` in MEASURED_SCHEMA."""
        measure = Measure(self.corpus, self.lexicon, self.models)
        with ShardWriter(self.staging / "data" / "kept", shard.name, MEASURED_SCHEMA) as out:
            for batch in read_batches(shard.paths[0]):
                measured = measure(batch)
                kept = pa.nulls(batch.num_rows, pa.string())
                left = measured_bytes(measured)
                book(ledger, measured.column("variety"), kept, measured.column("bytes_in"), left)
                for index, edit in enumerate(EDITS):
                    removed = pc.struct_field(measured.column("removed"), index)
                    if size := pc.sum(removed).as_py():
                        ledger.edit(edit, size)
                out.write(measured)
        measure.close()
        return {"kept": out.written}, {}


def measure_partition(
    writer: PartitionWriter,
    shards: Sequence[ShardInput],
    corpus: Corpus,
    *,
    lexicon: Path | None = None,
    models: Mapping[str, tuple[Path, str]] | None = None,
    workers: int = 1,
) -> Manifest:
    """Measure a partition's document shards; a measured shard has its document shard's name."""
    stage = MeasureStage(writer, shards, corpus, lexicon, models or {})
    return run_stage(writer, stage, workers=workers)
