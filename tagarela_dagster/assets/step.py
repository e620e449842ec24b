"""What every asset does around its one call into a library.

A step asks the road whether its partition is fresh and leaves it alone when it is; otherwise it
holds the lease, writes, and reports the manifest's hash as Dagster's data version.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from tagarela_dagster.assets.partitions import CHECKPOINTS, CORPUS
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.lease import LeaseHeldError
from tagarela_dagster.provenance.manifest import Manifest
from tagarela_dagster.resources.process import PROCESS_TAG, run_worker_name
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import SOURCE

FORCE_TAG = "tagarela/force"
"""Run tag: ``true`` materializes also what is fresh."""
LEASE_POLL_SECONDS = 5.0
ENDED_BY_SIGTERM = 143

Describe = Callable[[Road, Manifest], Mapping[str, Any]]


def station_arguments(road: Road, name: str, **more: Any) -> dict[str, Any]:
    """Arguments of ``dg.asset`` that the road decides: name, inputs, partitions, code version."""
    station = road.road[name]
    deps: list[dg.AssetDep] = []
    for read in road.reads(name):
        if read == SOURCE:
            # A snapshot's documents come from its own source only; Dagster's built-in mappings
            # cannot say so for sets of partitions that grow. The lake's manifests can, and do.
            every = dg.AllPartitionMapping()
            deps += [dg.AssetDep(s, partition_mapping=every) for s in road.recipe.sources]
        else:
            deps.append(dg.AssetDep(read))
    if station.scope == "snapshot":
        more["partitions_def"] = CORPUS
    if station.scope == "checkpoint":
        deps.append(dg.AssetDep("checkpoints"))
        more["partitions_def"] = CHECKPOINTS
    return {"name": name, "deps": deps, "code_version": road.version(name), **more}


def materialize(
    context: dg.AssetExecutionContext,
    road: Road,
    asset: str,
    write: Callable[[PartitionWriter], Manifest],
    describe: Describe,
) -> dg.MaterializeResult:
    """Write the partition unless it is fresh, and describe it for the page."""
    end_with_run_worker()
    if PROCESS_TAG not in context.run.tags:
        context.instance.add_run_tags(context.run_id, {PROCESS_TAG: run_worker_name()})
    partition = context.partition_key if context.has_partition_key else None
    forced = context.run.tags.get(FORCE_TAG) == "true"
    name = f"{asset}[{partition}]" if partition else asset
    manifest, pace = None, {}
    while manifest is None:
        state = road.state(asset, partition)
        if state == "fresh" and not forced:
            context.log.info(f"{name} is fresh: nothing to do")
            manifest = road.lake.require(asset, partition)
            road.lake.sweep(asset, partition)
            break
        context.log.info(f"{name} is {'forced' if forced else state}")
        begin = time.monotonic()
        try:
            with road.writing(asset, partition) as writer:
                manifest = write(writer)
            pace = pace_of(manifest, time.monotonic() - begin)
        except LeaseHeldError as error:
            # Somebody else makes it right now (a drive and the sensor, say): wait, look again.
            context.log.info(f"{error}")
            time.sleep(LEASE_POLL_SECONDS)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.hash),
        metadata={"manifest": manifest.hash[:16], **pace, **describe(road, manifest)},
    )


def pace_of(manifest: Manifest, seconds: float) -> dict[str, float]:
    """How long a partition took and, of documents, how many a second; never part of a manifest."""
    pace = {"seconds": round(seconds, 2)}
    ledger = manifest.counts.get("ledger", {})
    if ledger.get("documents_in") and seconds:
        pace["documents_per_second"] = round(ledger["documents_in"] / seconds, 1)
        pace["megabytes_per_second"] = round(ledger["bytes_in"] / 1e6 / seconds, 3)
    return pace


@functools.cache
def end_with_run_worker() -> None:
    """End this process, if it is a step of a run worker, as soon as that worker is gone.

    Dagster's multiprocess executor leaves a step running when its worker is killed, beside the
    retry that starts meanwhile; with the step everything below it ends
    (training/launching/supervise.py).
    """
    worker = multiprocessing.parent_process()
    if worker is None:
        return

    def watch() -> None:
        worker.join()
        os._exit(ENDED_BY_SIGTERM)

    threading.Thread(target=watch, name="watch-run-worker", daemon=True).start()
