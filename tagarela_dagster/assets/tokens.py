"""Token assets: tokenizer, token shards, mixture."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tagarela_dagster.assets.metadata import describe_documents, describe_shards, table
from tagarela_dagster.assets.step import materialize, station_arguments
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.recipe.stage import BASE
from tagarela_dagster.resources.home import workers
from tagarela_dagster.resources.road import Road

TOKENS_LOOK: dict[str, Any] = {"group_name": "tokens", "owners": ["team:training"]}


def build_tokens(road: Road) -> list[dg.AssetsDefinition]:
    """The tokens group, from tokenizer to mixture."""
    look = TOKENS_LOOK

    @dg.asset(
        **station_arguments(road, "tokenizer", **look, kinds={"huggingface", "json"}),
        description="Tokenizer trained on the clean corpus, or the base model's own; any text "
        "survives the round trip.",
    )
    def tokenizer(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.training.tokens.base_tokenizer import publish_base_tokenizer
        from tagarela_dagster.training.tokens.tokenizer import train_on_partitions

        def train(out: PartitionWriter) -> Manifest:
            if road.recipe.tokens.tokenizer.kind == BASE:
                return publish_base_tokenizer(out, road.lake.data(BASE) / "model")
            clean = road.published("clean")
            return train_on_partitions(
                out,
                shards={m.partition or "": road.lake.paths(m, "kept/") for m in clean},
                section=road.recipe.tokens.tokenizer,
                held_out_share=road.recipe.evals.held_out.share,
                seed=road.recipe.seed,
            )

        return materialize(context, road, "tokenizer", train, describe_shards)

    @dg.asset(
        **station_arguments(road, "tokens", **look, kinds={"numpy", "parquet"}),
        description="Token ids of a snapshot's documents, with document boundaries and ids; "
        "held-out documents are left out.",
    )
    def tokens(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.training.tokens.token_shards import tokenize_partition

        def tokenize(out: PartitionWriter) -> Manifest:
            return tokenize_partition(
                out,
                shards=road.beside(out.partition or "", ("clean", "kept/")),
                tokenizer=road.lake.data("tokenizer"),
                held_out_share=road.recipe.evals.held_out.share,
                seed=road.recipe.seed,
                workers=workers(),
            )

        return materialize(context, road, "tokens", tokenize, _describe_tokens)

    @dg.asset(
        **station_arguments(road, "mixture", **look, kinds={"json", "numpy"}),
        description="How many sequences training takes from each source, and in which order.\n\n"
        "Sequence k is a pure function of this mixture, so a resumed run repeats and skips "
        "nothing.",
    )
    def mixture(
        context: dg.AssetExecutionContext, road: dg.ResourceParam[Road]
    ) -> dg.MaterializeResult:
        from tagarela_dagster.corpus.dedup.rehydration import repeats
        from tagarela_dagster.training.mixing.mixture import write_mixture

        def plan(out: PartitionWriter) -> Manifest:
            rehydration = road.recipe.tokens.rehydration
            more: dict[str, Any] = {}
            if rehydration.enabled:
                clusters = road.lake.paths(road.lake.require("clusters"), "clusters.parquet")
                more = {
                    "repeats": repeats(clusters, rehydration),
                    "usual_repeats": rehydration.repeats[1],
                }
            return write_mixture(
                out,
                lake=road.lake,
                manifests=road.published("tokens"),
                section=road.recipe.tokens.mixture,
                context=road.recipe.training.model.context,
                sequences=road.recipe.training_sequences,
                seed=road.recipe.seed,
                **more,
            )

        return materialize(context, road, "mixture", plan, _describe_mixture)

    return [tokenizer, tokens, mixture]


def _describe_tokens(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    rows = manifest.counts["fertility"]
    return {
        **describe_documents(road, manifest),
        "tokens": manifest.counts["tokens"],
        **({"fertility": table(rows)} if rows else {}),
    }


def _describe_mixture(road: Road, manifest: Manifest) -> Mapping[str, Any]:
    told = manifest.counts["warnings"]
    return {
        "sequences": manifest.counts["sequences"],
        "planned_tokens": manifest.counts["planned_tokens"],
        "plan": table(manifest.counts["sources"]),
        "cells": table(manifest.counts["cells"]),
        **({"warnings": table({"warning": sentence} for sentence in told)} if told else {}),
        "fertility": table(manifest.counts["fertility"]),
    }
