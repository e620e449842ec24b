"""Weights & Biases and MLflow: servers that are told of a run.

Neither takes a point back. A resumed run that trains steps again does not send them again: at the
same world size they are the same to the last digit. What it sends goes to the run of before, whose
name over there is in the run folder (``tracking/``).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

PROJECT = "tagarela"
MLFLOW_POINTS = 1000
"""Most that MLflow takes in one request, https://mlflow.org/docs/latest/api_reference/rest-api.html
(log-batch)."""
MLFLOW_PARAMETERS = 100
MLFLOW_VALUE = 6000
"""Longest value of a parameter, in characters."""


class Wandb:
    """A run at Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, step: int, values: dict[str, float]) -> None:
        """Log a step's numbers."""
        self._run.log(values, step=step)

    def flush(self) -> None:
        """Does nothing: another process of theirs has it."""

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def open_wandb(
    run: Path, name: str, config: dict[str, Any], state: dict[str, Any], last: int
) -> Wandb:
    """Run in project WANDB_PROJECT, ``tagarela`` by default; WANDB_MODE=offline keeps it in the
    run folder for ``wandb sync``."""
    import wandb

    state.setdefault("id", uuid4().hex[:12])
    settings = wandb.Settings(console="off", silent=True, disable_code=True, disable_git=True)
    found = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=name,
        id=state["id"],
        resume="allow",
        dir=str(run),
        config=config,
        settings=settings,
    )
    return Wandb(found)


class Mlflow:
    """A run at an MLflow server."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._waiting: list[Any] = []

    def write(self, step: int, values: dict[str, float]) -> None:
        """Log a step's numbers, with others in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(name, value, now, step) for name, value in values.items()]
        if len(self._waiting) >= MLFLOW_POINTS:
            self.flush()

    def flush(self) -> None:
        """Send what waits. Raises mlflow's MlflowException when the server is away."""
        while self._waiting:
            self._client.log_batch(self._run_id, metrics=self._waiting[:MLFLOW_POINTS])
            del self._waiting[:MLFLOW_POINTS]

    def close(self) -> None:
        """Finish the run."""
        self.flush()
        self._client.set_terminated(self._run_id)


def open_mlflow(
    run: Path, name: str, config: dict[str, Any], state: dict[str, Any], last: int
) -> Mlflow:
    """Run at the server MLFLOW_TRACKING_URI, in experiment MLFLOW_EXPERIMENT_NAME (``tagarela``).

    Raises:
        KeyError: MLFLOW_TRACKING_URI is not set; MLflow would take the folder it is started in.
    """
    from mlflow.entities import Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    if "id" in state:
        client.update_run(state["id"], status="RUNNING")
        return Mlflow(client, state["id"])
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    known = client.get_experiment_by_name(experiment)
    place = known.experiment_id if known else client.create_experiment(experiment)
    state["id"] = client.create_run(place, run_name=name).info.run_id
    parameters = [Param(key, str(value)[:MLFLOW_VALUE]) for key, value in _flat(config).items()]
    for first in range(0, len(parameters), MLFLOW_PARAMETERS):
        client.log_batch(state["id"], params=parameters[first : first + MLFLOW_PARAMETERS])
    return Mlflow(client, state["id"])


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
