from __future__ import annotations

import subprocess
import sys

import dagster as dg

from tagarela_dagster.automation.orphans import end_orphans
from tagarela_dagster.resources.process import PROCESS_TAG, process_name


def start_run(instance: dg.DagsterInstance, process: str) -> str:
    @dg.job
    def leg() -> None: ...

    run = instance.create_run_for_job(leg, tags={PROCESS_TAG: process})
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="leg"), run.run_id
    )
    return run.run_id


def test_legs_of_dead_processes_are_ended_and_those_of_living_ones_are_not() -> None:
    gone = subprocess.run(
        [
            sys.executable,
            "-c",
            "from tagarela_dagster.resources.process import process_name; print(process_name())",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with dg.DagsterInstance.ephemeral() as instance:
        dead, alive = start_run(instance, gone), start_run(instance, process_name())
        assert end_orphans(instance) == [dead]
        statuses = {run.run_id: run.status for run in instance.get_runs()}
        assert statuses == {
            dead: dg.DagsterRunStatus.FAILURE,
            alive: dg.DagsterRunStatus.STARTED,
        }
        assert end_orphans(instance) == []
