"""What Dagster loads: the graph of the recipe named by TAGARELA_RECIPE (and TAGARELA_SCALE)."""

from __future__ import annotations

import dagster as dg

from tagarela_dagster.assets.corpus import build_corpus
from tagarela_dagster.assets.evals import build_evals
from tagarela_dagster.assets.models import build_models
from tagarela_dagster.assets.sources import build_sources
from tagarela_dagster.assets.tokens import build_tokens
from tagarela_dagster.assets.training import build_training
from tagarela_dagster.automation.jobs import build_jobs, build_schedule, build_sensor
from tagarela_dagster.checks.gates import build_checks
from tagarela_dagster.resources.road import Road


def build_definitions(road: Road) -> dg.Definitions:
    """Assets, checks, jobs, schedule, sensor and resources of a recipe."""
    definitions = dg.Definitions(
        assets=[
            *build_sources(road),
            *build_corpus(road),
            *build_models(road),
            *build_tokens(road),
            *build_training(road),
            *build_evals(road),
        ],
        asset_checks=build_checks(road),
        jobs=build_jobs(road, lambda: definitions),
        schedules=[build_schedule()],
        sensors=[build_sensor(road)],
        resources={"road": road},
    )
    return definitions


defs = build_definitions(Road.from_environment())
