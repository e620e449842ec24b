"""Mixture: which token of which document stands in which training sequence, decided once.

Each unit, a stratum of a source, is a stream: all its documents in a seeded order, then all again
in another order (epochs), cut into sequences of ``context`` tokens. A seeded order of units says
which stream gives sequence k; within blocks of sequences every unit has its exact part, so the mix
is even from start to end of a phase. A stream goes on from phase to phase, so epochs count over
the whole run. The sampler reads these files and holds no state.

Files (``.npy``, to be memory-mapped):

- ``plan.json``: phases, units, cells (unit and phase) and sources with planned sequences, tokens,
  documents and epochs, warnings, and the token shards by place in the lake;
- ``order.npy`` uint16 (sequences,): unit of sequence k;
- ``before.npy`` int64 (blocks, units): sequences of each unit before each block of
  ``COUNT_BLOCK`` sequences;
- ``sources/NAME/start.npy`` int64 (documents,): place of each document in its shard;
- ``units/UUUUU/epoch-EEEE.order.npy`` uint32 or uint64: document numbers in the order of epoch E
  (the last epoch only as far as needed), ``epoch-EEEE.offsets.npy`` int64: the position of
  each document's first token in its epoch, and the position after the last one's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.lake import Lake, PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.mixture import Mixture
from tagarela_dagster.training.mixing.mixture_plan import Cell, phase_lengths, plan_cells
from tagarela_dagster.training.mixing.plan_report import cell_rows, source_rows, unit_rows, warnings
from tagarela_dagster.training.mixing.shares import MixtureError
from tagarela_dagster.training.mixing.strata import Strata
from tagarela_dagster.training.mixing.streams import write_order, write_stream
from tagarela_dagster.training.mixing.survey import Repeats, Unit, array_path, survey
from tagarela_dagster.training.tokens.token_index import TokenShard, shards_by_source, tokenizers_of
from tagarela_dagster.training.tokens.token_shards import fertility_rows, read_fertility

FORMAT_VERSION = 2
PLAN_NAME = "plan.json"


@dataclass(frozen=True)
class MixturePlan:
    """What pretraining consumes.

    Attributes:
        phases: name ("" without phases) and sequences of each.
        tokenizer: sha256, vocabulary, eos and dtype, as in the token manifests.
        shards: source -> its token shards, in document order.
        begun: cell label -> document uses that begin in it.
    """

    section: Mixture
    context: int
    sequences: int
    seed: int
    tokenizer: dict[str, Any]
    phases: list[tuple[str, int]]
    units: list[Unit]
    cells: list[Cell]
    shards: dict[str, list[TokenShard]]
    begun: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """JSON form, in which plan.json is written."""
        firsts = accumulate((length for _, length in self.phases), initial=0)
        sources = source_rows(self.shards, self.cells, self.section, self.context, self.sequences)
        return {
            "format_version": FORMAT_VERSION,
            "context": self.context,
            "sequences": self.sequences,
            "planned_tokens": self.context * self.sequences,
            "seed": self.seed,
            "tokenizer": self.tokenizer,
            "phases": [
                {"name": name, "first": first, "sequences": length}
                for (name, length), first in zip(self.phases, firsts, strict=False)
            ],
            "warnings": warnings(self.units, self.cells, self.section, self.context),
            "cells": cell_rows(self.cells, self.begun, self.context),
            "units": unit_rows(self.units, self.cells, self.context),
            "sources": [
                row | {"shards": [asdict(shard) for shard in self.shards[row["name"]]]}
                for row in sources
            ],
        }


def write_mixture(
    writer: PartitionWriter,
    lake: Lake,
    manifests: Sequence[Manifest],
    section: Mixture,
    *,
    context: int,
    sequences: int,
    seed: int,
    repeats: Repeats | None = None,
    usual_repeats: int = 1,
) -> Manifest:
    """Plan, write the index files and publish.

    Args:
        manifests: token partitions.
        repeats: documents that an epoch uses otherwise than usual (rehydration).
        usual_repeats: times that an epoch uses every other document.

    Raises:
        MixtureError: the partitions were made by different tokenizers, or cannot fill the plan.
        StrataError: the documents have not what the strata are made of.
    """
    # What a killed writer left may be half a file.
    shutil.rmtree(writer.data, ignore_errors=True)
    plan = lay_mixture(
        lake,
        manifests,
        section,
        context=context,
        sequences=sequences,
        seed=seed,
        repeats=repeats,
        usual_repeats=usual_repeats,
        out=writer.data,
        scratch=writer.staging / "survey",
    )
    files = sorted(p.relative_to(writer.data).as_posix() for p in writer.data.rglob("*.*"))
    told = plan.as_json()
    counts = {name: told[name] for name in ("sequences", "planned_tokens", "warnings", "cells")}
    counts["sources"] = [{k: v for k, v in s.items() if k != "shards"} for s in told["sources"]]
    counts["fertility"] = fertility_rows(read_fertility(manifests))
    return writer.publish([Shard.of(writer.data, path, 0) for path in files], counts)


def lay_mixture(
    lake: Lake,
    manifests: Sequence[Manifest],
    section: Mixture,
    *,
    context: int,
    sequences: int,
    seed: int,
    out: Path,
    scratch: Path,
    repeats: Repeats | None = None,
    usual_repeats: int = 1,
) -> MixturePlan:
    """Plan, and write ``plan.json`` and the index files to ``out`` (see ``write_mixture``).

    Args:
        scratch: folder for arrays of the time of writing: 11 bytes a document; it is removed.
    """
    tokenizers = tokenizers_of(manifests)
    if len(tokenizers) != 1:
        raise MixtureError(
            f"the token partitions were made by {len(tokenizers)} different tokenizers: "
            "materialize tokens again for all of them"
        )
    shards = shards_by_source(manifests)
    shutil.rmtree(scratch, ignore_errors=True)
    units = survey(shards, lake, Strata(section), repeats, scratch, usual_repeats)
    cells = plan_cells(units, section, context, sequences)
    names = [phase.name for phase in section.phases] or [""]
    lengths = phase_lengths(section.phases, sequences)
    begun = _write_streams(units, cells, context, seed, scratch, out)
    write_order([[c.sequences for c in cells if c.phase == name] for name in names], seed, out)
    for source in sorted({cell.unit.source for cell in cells if cell.sequences}):
        target = array_path(out / "sources", source, "start")
        target.parent.mkdir(parents=True, exist_ok=True)
        array_path(scratch, source, "start").replace(target)
    shutil.rmtree(scratch)
    phases = list(zip(names, lengths, strict=True))
    plan = MixturePlan(
        section, context, sequences, seed, tokenizers[0], phases, units, cells, shards, begun
    )
    with atomic_write(out / PLAN_NAME) as file:
        json.dump(plan.as_json(), file, ensure_ascii=False, indent=1)
    return plan


def _write_streams(
    units: Sequence[Unit],
    cells: Sequence[Cell],
    context: int,
    seed: int,
    arrays: Path,
    out: Path,
) -> dict[str, int]:
    """Write the stream of every unit; return the document uses that begin in each cell."""
    begun: dict[str, int] = {}
    of_unit: dict[str, list[Cell]] = {}
    for cell in cells:
        of_unit.setdefault(cell.unit.label, []).append(cell)
    for number, unit in enumerate(units):
        mine = of_unit[unit.label]
        ends = list(accumulate(cell.sequences * context for cell in mine))
        before = 0
        found = write_stream(unit, number, ends, seed, arrays, out)
        for cell, there in zip(mine, found, strict=True):
            begun[cell.label] = there - before
            before = there
    return begun
