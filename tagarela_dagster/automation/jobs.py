"""Jobs, the nightly schedule and the sensor for new checkpoints."""

from collections.abc import Callable, Collection, Iterator

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from tagarela_dagster.assets.partitions import CHECKPOINTS
from tagarela_dagster.automation.drive import drive
from tagarela_dagster.automation.orphans import end_orphans
from tagarela_dagster.provenance.fingerprint import fingerprint
from tagarela_dagster.recipe.models import MODEL_ASSETS
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import ROAD

CORPUS_STATIONS = (
    "benchmarks",
    "documents",
    *MODEL_ASSETS,
    "measured",
    "signatures",
    "filtered",
    "clusters",
    "deduped",
    "repeats",
    "clean",
    "contamination",
)
TRAIN_STATIONS = ("held_out", "tokenizer", "tokens", "card", "mixture")
"""Before the training stages, which a recipe names itself."""
NIGHT_CRON = "0 3 * * *"
NIGHT_TIMEZONE = "America/Sao_Paulo"
SENSOR_SECONDS = 30


class RoadFailedError(RuntimeError):
    """Some legs of a drive failed; the message lists each with its first error."""


def build_jobs(
    road: Road, definitions: Callable[[], dg.Definitions]
) -> list[dg.JobDefinition | UnresolvedAssetJobDefinition]:
    """``demo``, ``corpus`` and ``train`` drive along the road; ``evaluate`` scores a checkpoint.

    Args:
        definitions: gives the assembled definitions, when a job runs.
    """
    corpus = (*road.recipe.sources, *CORPUS_STATIONS)
    return [
        _drive_job(
            "demo",
            None,
            definitions,
            "The whole road: from the recipe's sources to scores. Runs what is missing or stale.",
        ),
        _drive_job(
            "corpus",
            corpus,
            definitions,
            "Discover new snapshots and bring the corpus up to date, from sources to clean text.",
        ),
        _drive_job(
            "train",
            (*TRAIN_STATIONS, *road.recipe.training.all_stages),
            definitions,
            "Tokenizer, tokens, mixture and every training stage, on the clean corpus.",
        ),
        dg.define_asset_job(
            "evaluate",
            selection=dg.AssetSelection.assets("scores"),
            partitions_def=CHECKPOINTS,
            description="Score one checkpoint on the whole suite.",
        ),
    ]


def _drive_job(
    name: str,
    select: Collection[str] | None,
    definitions: Callable[[], dg.Definitions],
    description: str,
) -> dg.JobDefinition:
    @dg.op(name=f"drive_{name}", description=description)
    def drive_op(context: dg.OpExecutionContext, road: dg.ResourceParam[Road]) -> None:
        journey = drive(
            definitions(),
            road,
            context.instance,
            select=select,
            name=name,
            on_leg=lambda leg: context.log.info(f"{leg.title}: {leg.reason}"),
        )
        done, failed = len(journey.done), len(journey.failed)
        context.log.info(f"{done} legs done, {journey.fresh} partitions fresh, {failed} failed")
        if journey.failed:
            lines = [f"{leg.title}: {error}" for leg, error in journey.failed]
            raise RoadFailedError("\n".join(lines))

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor)
    def drive_job() -> None:
        drive_op()

    return drive_job


def build_schedule() -> dg.ScheduleDefinition:
    """Nightly corpus refresh. It asks what is missing, so a tick that was lost costs nothing."""
    return dg.ScheduleDefinition(
        name="nightly_refresh",
        job_name="corpus",
        cron_schedule=NIGHT_CRON,
        execution_timezone=NIGHT_TIMEZONE,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night at 03:00 (São Paulo): new snapshots, and what changes because "
        "of them.",
    )


def build_sensor(road: Road) -> dg.SensorDefinition:
    """Evaluate each new checkpoint once per suite."""

    @dg.sensor(
        name="evaluate_new_checkpoints",
        job_name="evaluate",
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for published checkpoints that have no scores under the current suite.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        end_orphans(context.instance)
        suite = suite_hash(road)
        if suite is None:
            return dg.SkipReason("the benchmarks or the held-out documents are not there yet")
        due = [key for key in road.checkpoints if road.state("scores", key) != "fresh"]
        if not due:
            return dg.SkipReason("every checkpoint has its scores")
        return dg.SensorResult(
            run_requests=list(_requests(due, suite)),
            dynamic_partitions_requests=[CHECKPOINTS.build_add_request(due)],
        )

    return sensor


def suite_hash(road: Road) -> str | None:
    """Identity of the suite: its settings and data; None while its data is not published."""
    manifests = [road.lake.manifest(name) for name in ROAD["scores"].reads]
    if None in manifests:
        return None
    return fingerprint([road.version("scores"), [m.hash for m in manifests if m]])


def _requests(keys: list[str], suite: str) -> Iterator[dg.RunRequest]:
    for key in keys:
        yield dg.RunRequest(
            run_key=f"{key}:{suite}", partition_key=key, tags={"tagarela/suite": suite[:16]}
        )
