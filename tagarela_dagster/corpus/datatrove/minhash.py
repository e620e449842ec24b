"""MinHash signatures in datatrove's files, for its own stages to go on from.

``bucket_BBB/RANK.minhash.sig`` holds, for each document with at least ``n_grams`` words, the
``hashes_per_bucket`` values of the bucket and the document's number, little-endian (``8QI``),
sorted: the same bytes as datatrove's MinhashDedupSignature (``pipeline/dedup/minhash.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from datatrove.data import DocumentsPipeline
from datatrove.io import DataFolderLike, get_datafolder
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.batching import batched
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig
from datatrove.utils.typeshelper import Languages, StatHints
from numpy.typing import NDArray

from tagarela_dagster.corpus.datatrove.batch import sound_text
from tagarela_dagster.corpus.datatrove.rules import BATCH
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.kernels.minhash import PRIME
from tagarela_dagster.recipe.dedup import Minhash


class MinhashDedupSignature(PipelineStep):
    """First stage of datatrove's MinHash deduplication.

    Memory: a bucket of a rank while it is sorted, 68 bytes a document.

    Args:
        output_folder: also the input of MinhashDedupBuckets, with the same ``config``.
        config: ``norm_config`` and ``hash_config`` as datatrove has them by default.

    Raises:
        ValueError: another normalization, hash or language is asked for.
    """

    type = "🫂 - DEDUP"
    name = "🎯 MinHash stage 1"

    def __init__(
        self,
        output_folder: DataFolderLike,
        config: MinhashConfig | None = None,
        language: str = Languages.portuguese,
        batch_size: int = BATCH,
    ) -> None:
        super().__init__()
        self.output_folder = get_datafolder(output_folder)
        self.config = config or MinhashConfig()
        self.batch_size = batch_size
        for name, given, known in (
            ("norm_config", self.config.norm_config, TextNormConfig()),
            ("hash_config", self.config.hash_config, HashConfig()),
            ("language", language, Languages.portuguese),
        ):
            if given != known:
                raise ValueError(f"{name} is {given!r}, but signatures here have {known!r}")

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> None:
        """Write the signatures of all documents; nothing goes on."""
        buckets, values = self.config.num_buckets, self.config.hashes_per_bucket
        names = [*(f"v{i}" for i in range(values)), "document"]
        kind = np.dtype([(name, "<u4" if name == "document" else "<u8") for name in names])
        paths = [f"bucket_{bucket:03d}/{rank:05d}.minhash.sig" for bucket in range(buckets)]
        with ExitStack() as stack:
            files = [stack.enter_context(self.output_folder.open(p, mode="wb")) for p in paths]
            for numbers, least in self._signed(data):
                for bucket, file in enumerate(files):
                    records = np.empty(len(numbers), kind)
                    for i in range(values):
                        records[f"v{i}"] = least[:, bucket * values + i]
                    records["document"] = numbers
                    file.write(records.tobytes())
        with self.track_time():
            for path in paths:
                with self.output_folder.open(path, mode="rb") as file:
                    records = np.frombuffer(file.read(), kind)
                order = np.lexsort([records[name] for name in reversed(names)])
                with self.output_folder.open(path, mode="wb") as file:
                    file.write(records[order].tobytes())

    def _signed(
        self, data: DocumentsPipeline
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        """Numbers of the documents that have a signature, and their values, by batches."""
        config = self.config
        section = Minhash(
            n_grams=config.n_grams,
            bands=config.num_buckets,
            rows=config.hashes_per_bucket,
            seed=config.seed,
        )
        signer = Signer(section)
        first = 0
        for batch in batched(data, self.batch_size):
            with self.track_time("batch"):
                least = signer.minhash([sound_text(document.text) for document in batch])
            self.stat_update(StatHints.total, value=len(batch))
            # A value is a remainder of PRIME, so PRIME itself says that there is none.
            numbers = np.flatnonzero(least[:, 0] != PRIME)
            yield first + numbers, least[numbers]
            first += len(batch)
