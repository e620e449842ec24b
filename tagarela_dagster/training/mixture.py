"""Mixture: which token of which document stands in which training sequence, decided once.

Each source is a stream: all its documents in a seeded order, then all again in another order
(epochs), cut into sequences of ``context`` tokens. A seeded order of sources says which stream
gives sequence k; within blocks of ``ORDER_BLOCK`` sequences every source has its exact part, so
the mix is even from start to end. The sampler reads these files and holds no state.

Files (``.npy``, to be memory-mapped):

- ``plan.json``: sources with planned tokens and epochs, and their token shards by place in the
  lake (asset, partition, data folder, path);
- ``order.npy`` uint16 (sequences,): source number of sequence k;
- ``before.npy`` int64 (blocks, sources): sequences of each source before each block of
  ``COUNT_BLOCK`` sequences;
- ``sources/NAME/start.npy`` int64 (documents,): place of each document in its shard;
- ``sources/NAME/epoch-EEEE.order.npy`` uint32 or uint64: document numbers in the order of epoch E
  (the last epoch only as far as needed), ``epoch-EEEE.offsets.npy`` int64: the position of
  each document's first token in its epoch, and the position after the last one's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.corpus.stage import split_partition
from tagarela_dagster.provenance.files import atomic_path, atomic_write
from tagarela_dagster.provenance.lake import Lake, PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.tokens import Mixture
from tagarela_dagster.training.mixture_plan import MixtureError, SourcePlan, plan_sources
from tagarela_dagster.training.token_shards import fertility_rows, read_fertility

FORMAT_VERSION = 1
PLAN_NAME = "plan.json"
ORDER_BLOCK = 65_536
COUNT_BLOCK = 4_096


@dataclass(frozen=True)
class TokenShard:
    """A token shard by its place in the lake; documents are numbered through the source."""

    asset: str
    partition: str
    data: str
    path: str
    documents_path: str
    documents: int
    tokens: int


@dataclass(frozen=True)
class MixturePlan:
    """What pretraining consumes.

    Attributes:
        tokenizer: sha256, vocabulary, eos and dtype, as in the token manifests.
        shards: source -> its token shards, in document order.
    """

    context: int
    sequences: int
    seed: int
    tokenizer: dict[str, Any]
    sources: list[SourcePlan]
    shards: dict[str, list[TokenShard]]

    @property
    def planned_tokens(self) -> int:
        """Tokens of all sequences."""
        return self.context * self.sequences

    def as_json(self) -> dict[str, Any]:
        """JSON form, in which plan.json is written."""
        return {
            "format_version": FORMAT_VERSION,
            "context": self.context,
            "sequences": self.sequences,
            "planned_tokens": self.planned_tokens,
            "seed": self.seed,
            "tokenizer": self.tokenizer,
            "sources": [
                source.as_json() | {"shards": [asdict(s) for s in self.shards[source.name]]}
                for source in self.sources
            ],
        }


def plan_mixture(
    manifests: Sequence[Manifest], section: Mixture, *, context: int, sequences: int, seed: int
) -> MixturePlan:
    """Plan a mixture from the manifests of token partitions; reads nothing else.

    Raises:
        MixtureError: the partitions were made by different tokenizers, or cannot fill the plan.
    """
    tokenizers = {json.dumps(m.counts["tokenizer"], sort_keys=True) for m in manifests}
    if len(tokenizers) != 1:
        raise MixtureError(
            f"the token partitions were made by {len(tokenizers)} different tokenizers: "
            "materialize tokens again for all of them"
        )
    shards: dict[str, list[TokenShard]] = {}
    for manifest in sorted(manifests, key=lambda m: m.partition or ""):
        source, _ = split_partition(manifest.partition or "")
        shards.setdefault(source, []).extend(_shards(manifest))
    available = {
        source: (sum(s.documents for s in found), sum(s.tokens for s in found))
        for source, found in shards.items()
    }
    plans = plan_sources(available, section, context, sequences)
    return MixturePlan(context, sequences, seed, json.loads(tokenizers.pop()), plans, shards)


def write_mixture(
    writer: PartitionWriter,
    lake: Lake,
    manifests: Sequence[Manifest],
    section: Mixture,
    *,
    context: int,
    sequences: int,
    seed: int,
) -> Manifest:
    """Plan, write the index files and publish. Raises MixtureError (see ``plan_mixture``)."""
    plan = plan_mixture(manifests, section, context=context, sequences=sequences, seed=seed)
    write_files(plan, lake, writer.data)
    files = sorted(p.relative_to(writer.data).as_posix() for p in writer.data.rglob("*.*"))
    counts = {
        "sequences": plan.sequences,
        "planned_tokens": plan.planned_tokens,
        "sources": [source.as_json() for source in plan.sources],
        "fertility": fertility_rows(read_fertility(manifests)),
    }
    return writer.publish([Shard.of(writer.data, path, 0) for path in files], counts)


def write_files(plan: MixturePlan, lake: Lake, out: Path) -> None:
    """Write ``plan.json`` and the index files to ``out``.

    Memory: 24 bytes a document of the largest source, 2 bytes a sequence.
    """
    for source in plan.sources:
        if source.sequences:
            shards = plan.shards[source.name]
            _write_source(source, shards, lake, plan.seed, out / "sources" / source.name)
    order = _source_order([s.sequences for s in plan.sources], plan.seed)
    _save(out / "order.npy", order)
    firsts = range(0, plan.sequences, COUNT_BLOCK)
    blocks = [np.bincount(order[i : i + COUNT_BLOCK], minlength=len(plan.sources)) for i in firsts]
    _save(out / "before.npy", np.cumsum([np.zeros_like(blocks[0]), *blocks[:-1]], axis=0))
    with atomic_write(out / PLAN_NAME) as file:
        json.dump(plan.as_json(), file, ensure_ascii=False, indent=1)


def _shards(manifest: Manifest) -> list[TokenShard]:
    documents = {Path(s.path).stem: s for s in manifest.select("documents/")}
    return [
        TokenShard(
            asset=manifest.asset,
            partition=manifest.partition or "",
            data=manifest.data_name,
            path=shard.path,
            documents_path=documents[Path(shard.path).stem].path,
            documents=documents[Path(shard.path).stem].rows,
            tokens=shard.rows,
        )
        for shard in manifest.select("tokens/")
        if shard.rows
    ]


def _write_source(
    source: SourcePlan, shards: Sequence[TokenShard], lake: Lake, seed: int, out: Path
) -> None:
    starts, lengths = [], []
    for shard in shards:
        path = lake.folder(shard.asset, shard.partition) / shard.data / shard.documents_path
        for batch in read_batches(path, ["start", "length"]):
            starts.append(batch.column("start").to_numpy())
            lengths.append(batch.column("length").to_numpy())
    _save(out / "start.npy", np.concatenate(starts))
    length = np.concatenate(lengths)
    number = np.uint32 if len(length) < 1 << 32 else np.uint64
    left = source.planned_tokens
    epoch = 0
    while left > 0:
        order = _generator(seed, source.name, epoch).permutation(len(length)).astype(number)
        offsets = np.concatenate([[0], np.cumsum(length[order])])
        used = min(len(order), int(np.searchsorted(offsets, left, side="left")))
        _save(out / f"epoch-{epoch:04d}.order.npy", order[:used])
        _save(out / f"epoch-{epoch:04d}.offsets.npy", offsets[: used + 1])
        left -= source.tokens
        epoch += 1


def _source_order(counts: Sequence[int], seed: int) -> np.ndarray:
    """(sequences,) uint16 source numbers: exact counts, even in every block of ORDER_BLOCK."""
    left = np.array(counts, dtype=np.int64)
    order = np.empty(int(left.sum()), dtype=np.uint16)
    for block, first in enumerate(range(0, len(order), ORDER_BLOCK)):
        size = min(ORDER_BLOCK, len(order) - first)
        whole = int(left.sum())
        given = left * size // whole
        # Largest remainders; a source with a remainder has at least one sequence left.
        remainders = left * size % whole
        given[np.argsort(-remainders, kind="stable")[: size - int(given.sum())]] += 1
        numbers = np.repeat(np.arange(len(left), dtype=np.uint16), given)
        order[first : first + size] = _generator(seed, "order", block).permutation(numbers)
        left -= given
    return order


def _generator(seed: int, name: str, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox([seed, xxhash.xxh3_64_intdigest(name), number]))


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
