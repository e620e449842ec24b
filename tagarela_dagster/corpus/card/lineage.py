"""Lineage: the manifests that a partition of ``clean`` was really made from.

A card and an export tell of the text that they go with. Where an earlier stage was made again and
``clean`` was not, what that stage says now is of another corpus, and nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagarela_dagster.corpus.ledger import Ledger
from tagarela_dagster.provenance.lake import Lake, MissingPartitionError
from tagarela_dagster.provenance.manifest import Manifest

STAGES = ("documents", "measured", "filtered", "deduped", "clean")
"""Stages whose ledgers add up to the corpus, in the order of the flow."""
TOKENS = "tokens"

Lineage = Mapping[str, Manifest]
"""Asset -> manifest: STAGES, ``benchmarks``, and ``tokens`` where they are of this very text."""


def lineage(lake: Lake, clean: Manifest) -> Lineage:
    """What a partition of ``clean`` was made from, itself included.

    Raises:
        MissingPartitionError: something of it was made again, or removed, since.
    """
    key = clean.partition or ""
    found = {clean.asset: clean}
    waiting = [clean]
    while waiting:
        manifest = waiting.pop()
        for name, version in manifest.inputs.items():
            asset, _, partition = name.removesuffix("]").partition("[")
            if asset in found or asset not in (*STAGES, "benchmarks"):
                continue
            made_from = lake.manifest(asset, partition or None)
            if made_from is None or made_from.hash != version:
                raise MissingPartitionError(
                    f"{name} is not any more what clean[{key}] was made from: materialize clean"
                )
            found[asset] = made_from
            waiting.append(made_from)
    tokens = lake.manifest(TOKENS, key)
    if tokens and tokens.inputs.get(f"clean[{key}]") == clean.hash:
        found[TOKENS] = tokens
    return found


def ledgers(lines: Sequence[Lineage], stage: str) -> list[Ledger]:
    """Accounts of a stage, in the order of the partitions."""
    return [Ledger.from_json(line[stage].counts["ledger"]) for line in lines if stage in line]
