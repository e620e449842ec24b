"""Drive: materialize what is missing or stale along the road, in order, and nothing else.

The road is a sequence of stretches of stations with the same scope (a snapshot's documents to
signatures, then the clusters over all of them, ...). For each stretch and partition one leg runs,
as an ordinary Dagster run with its events on the page, and whether it is needed is asked right
before it: an input that came out with the same bytes makes nothing stale. A leg that fails, or
whose inputs are missing or held back by a gate, stops its own partition; the others go on, and the
drive ends as failed with the list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import dagster as dg
from dagster._core.events import RunFailureReason

from tagarela_dagster.assets.partitions import register
from tagarela_dagster.automation.orphans import end_orphans
from tagarela_dagster.automation.takedown import complete_takedowns
from tagarela_dagster.provenance.lake import MissingPartitionError
from tagarela_dagster.resources.process import PROCESS_TAG, process_name
from tagarela_dagster.resources.road import BlockedPartitionError, Road
from tagarela_dagster.resources.stations import Scope

ROAD_TAG = "tagarela/drive"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""A leg's events are on the page; the terminal shows one line a leg."""


@dataclass(frozen=True)
class Leg:
    """Assets to materialize in one run, of one partition or none."""

    assets: tuple[str, ...]
    partition: str | None
    reason: str

    @property
    def title(self) -> str:
        """For people: ``filtered, signatures · oscar@2023-06``."""
        return ", ".join(self.assets) + (f" · {self.partition}" if self.partition else "")


@dataclass
class Journey:
    """What a drive did."""

    done: list[Leg] = field(default_factory=list)
    failed: list[tuple[Leg, str]] = field(default_factory=list)
    fresh: int = 0


def drive(
    defs: dg.Definitions,
    road: Road,
    instance: dg.DagsterInstance,
    *,
    select: Collection[str] | None = None,
    partition: str | None = None,
    name: str = "materialize",
    on_leg: Callable[[Leg], None] | None = None,
) -> Journey:
    """Materialize every selected asset that is missing or stale.

    Args:
        select: asset names; None selects the whole road.
        partition: only this snapshot or checkpoint; assets without partitions are left out
            unless ``select`` names them.
        on_leg: called before each leg.

    Returns:
        The legs that ran and those that failed, with the first error of each.

    Raises:
        KeyboardInterrupt: a leg was ended from outside (Ctrl-C, Terminate); no other one starts.
    """
    end_orphans(instance)
    register(instance, road)
    job = defs.resolve_implicit_global_asset_job_def()
    journey = Journey()
    failed_partitions: set[str | None] = set()
    failed_assets: set[str] = set()
    for stretch in stretches(road, select):
        for leg in _legs(road, stretch, partition, select is not None, journey):
            if leg.partition in failed_partitions and leg.partition is not None:
                continue
            if obstacle := _obstacle(road, leg, failed_assets):
                failed_partitions.add(leg.partition)
                failed_assets |= set() if leg.partition else set(leg.assets)
                journey.failed.append((leg, f"held back: {obstacle}"))
                continue
            if on_leg:
                on_leg(leg)
            tags = {ROAD_TAG: name, PROCESS_TAG: process_name()}
            if leg.partition:
                tags["dagster/partition"] = leg.partition
            result = job.get_subset(
                asset_selection={dg.AssetKey(a) for a in leg.assets}
            ).execute_in_process(
                instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
            )
            if _was_interrupted(result):
                raise KeyboardInterrupt
            register(instance, road)
            if result.success:
                journey.done.append(leg)
            else:
                failed_partitions.add(leg.partition)
                if leg.partition is None:
                    failed_assets |= {a for a in leg.assets if road.state(a) != "fresh"}
                journey.failed.append((leg, first_error(result)))
    complete_takedowns(road, instance)
    return journey


def stretches(road: Road, select: Collection[str] | None = None) -> Iterator[tuple[str, ...]]:
    """Selected stations in order, cut where the scope changes; sources lead the first snapshot
    stretch."""
    names = [n for n in road.stations if select is None or n in select]
    sources = tuple(s for s in road.recipe.sources if select is None or s in select)
    if sources:
        yield sources
    for _, group in groupby(names, key=lambda n: road.road[n].scope):
        yield tuple(group)


def _legs(
    road: Road,
    stretch: tuple[str, ...],
    partition: str | None,
    explicit: bool,
    journey: Journey,
) -> Iterator[Leg]:
    """Legs of one stretch that are needed, each asked for right before it runs."""
    if stretch[0] in road.recipe.sources:
        chains: list[tuple[str | None, tuple[str, ...]]] = [
            (key, (road.source_of(key),))
            for key in road.partitions
            if road.source_of(key) in stretch
        ]
    else:
        chains = [(key, stretch) for key in _keys(road, road.road[stretch[0]].scope)]
    for key, chain in chains:
        if partition and key != partition and not (key is None and explicit):
            continue
        stale = next(
            ((i, state) for i, a in enumerate(chain) if (state := road.state(a, key)) != "fresh"),
            None,
        )
        journey.fresh += len(chain) if stale is None else stale[0]
        if stale is not None:
            yield Leg(chain[stale[0] :], key, stale[1])


def _keys(road: Road, scope: Scope) -> list[str | None]:
    if scope == "whole":
        return [None]
    if scope == "snapshot":
        return list(road.partitions)
    return list(road.own_checkpoints)


def _obstacle(road: Road, leg: Leg, failed: Collection[str]) -> str | None:
    """Why a leg cannot start: an input that is missing, that a gate holds back, or that could not
    be brought up to date in this drive (an older one may be published: it is not used)."""
    reads = road.reads(leg.assets[0]) if leg.assets[0] in road.road else ()
    if stale := [read for read in reads if read in failed]:
        return f"{stale[0]} failed in this drive"
    try:
        road.identity(leg.assets[0], leg.partition)
    except (MissingPartitionError, BlockedPartitionError) as error:
        return str(error)
    return None


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a run ended because its process was asked to: Dagster books that as a failure."""
    reasons = [getattr(e.event_specific_data, "failure_reason", None) for e in result.all_events]
    return RunFailureReason.UNEXPECTED_TERMINATION in reasons


def first_error(result: dg.ExecuteInProcessResult) -> str:
    """First error of a failed run: a shut gate's sentence, else the innermost cause."""
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if check.blocking and not check.passed:
                where = check.asset_key.to_user_string()
                where += f"[{check.partition}]" if check.partition else ""
                return f"{where} fails {check.check_name}: {check.description}"
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            if error is not None:
                return error.message.strip()
    return "the run failed: see its events"
