"""Train a model on the documents that the recipe names, and publish it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from xxhash import xxh64_intdigest

from tagarela_dagster.corpus.held_out import share_evenly
from tagarela_dagster.corpus.models import ngram_model
from tagarela_dagster.corpus.models.fitting import train
from tagarela_dagster.corpus.models.ngram_model import EmptyTextError, NgramModel
from tagarela_dagster.corpus.models.passages import (
    HASH_RANGE,
    Label,
    Passage,
    by_variety,
    cut,
    file_passages,
    rows,
    source_passages,
    text_size,
)
from tagarela_dagster.corpus.models.tensors import SETTINGS_NAME, TENSORS_NAME
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.models import Classifier, Perplexity, Variety

VARIETY_CLASSES = ("pt-BR", "pt-PT")
QUALITY_CLASSES = ("negative", "positive")
PASSAGE_CHARACTERS = 20_000
"""Longest passage of the language model's training text."""
CUT_POINT_BYTES = 300
"""Shorter held-out passages say too little to find cut points by."""

Documents = Mapping[str, Sequence[Path]]
"""Training source, as the recipe names it -> its document shards."""


def train_variety(
    writer: PartitionWriter, documents: Documents, section: Variety, seed: int
) -> Manifest:
    """Publish the classifier of pt-PT against pt-BR: ``model.json`` and ``model.safetensors``.

    Raises:
        TrainingTextError: one of the two has no text.
    """
    limit = section.fitting.megabytes_per_source * 1e6
    label = by_variety(VARIETY_CLASSES, section.weak_domains)
    passages: list[Passage] = []
    for name in section.sources:
        passages += source_passages(name, documents[name], label, limit)
    for file in section.data:
        passages += file_passages(file, VARIETY_CLASSES, limit)
    model = train(passages, VARIETY_CLASSES, section.features, section.fitting, seed)
    model.save(writer.data)
    return writer.publish(_files(writer.data), {"passages": len(passages), **model.report})


def train_classifiers(
    writer: PartitionWriter, documents: Documents, sections: Mapping[str, Classifier], seed: int
) -> Manifest:
    """Publish every quality classifier, a folder each.

    Raises:
        TrainingTextError: one has no positive or no negative text.
    """
    counts = {}
    for name, section in sections.items():
        limit = section.fitting.megabytes_per_source * 1e6
        passages: list[Passage] = []
        for label, sources in (("positive", section.positive), ("negative", section.negative)):
            for source in sources:
                passages += source_passages(source, documents[source], _always(label), limit)
        for file in section.data:
            passages += file_passages(file, QUALITY_CLASSES, limit)
        model = train(passages, QUALITY_CLASSES, section.features, section.fitting, seed)
        model.save(writer.data / name)
        counts[name] = {"passages": len(passages), **model.report}
    shards = [shard for name in sections for shard in _files(writer.data, f"{name}/")]
    return writer.publish(shards, {"classifiers": counts})


def train_perplexity(
    writer: PartitionWriter, documents: Documents, section: Perplexity
) -> Manifest:
    """Publish the language model, with the cut points of its tiers.

    Raises:
        EmptyTextError: the sources have no text, or too little to keep some apart.
    """
    known: list[str] = []
    apart: list[str] = []
    for number, text in enumerate(_text(documents, section)):
        held = xxh64_intdigest(f"perplexity:{number}:{text[:100]}") < section.held_out * HASH_RANGE
        (apart if held else known).append(text)
    model = ngram_model.train(known, section.order, section.min_counts, section.max_vocabulary)
    judged = [text for text in apart if len(text.encode()) >= CUT_POINT_BYTES]
    if not judged:
        raise EmptyTextError(
            f"no passage of {CUT_POINT_BYTES} bytes of {section.sources} is held out to find the "
            f"tiers by: name more text, or raise held_out ({section.held_out})"
        )
    found = model.perplexities_of(judged)
    low, high = (round(float(cut), 4) for cut in np.nanquantile(found, section.quantiles))
    report = {**model.report, "held_out_passages": len(judged)}
    model = NgramModel(
        model.vocabulary, model.words, model.grams, model.starts, (low, high), report
    )
    model.save(writer.data)
    return writer.publish(_files(writer.data), {"cuts": [low, high], **report})


def _always(label: str) -> Label:
    return lambda row: label


def _text(documents: Documents, section: Perplexity) -> Iterator[str]:
    """Passages of the sources, evenly over them, cut at line ends."""
    sizes = {name: sum(map(text_size, documents[name])) for name in section.sources}
    budgets = share_evenly(sizes, section.max_megabytes * 1_000_000)
    for name in section.sources:
        share = budgets[name] / max(1, sizes[name])
        for row in rows(documents[name]):
            yield from cut(row.id, row.text, share, PASSAGE_CHARACTERS, by_line=True)


def _files(folder: Path, prefix: str = "") -> list[Shard]:
    return [Shard.of(folder, f"{prefix}{name}", 0) for name in (SETTINGS_NAME, TENSORS_NAME)]
