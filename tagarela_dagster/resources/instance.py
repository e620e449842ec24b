"""Dagster's instance of a recipe's home: SQLite, settings written once, loopback only."""

from __future__ import annotations

import os
from pathlib import Path

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.resources.home import Home

SETTINGS = """\
# Written by Tagarela on first use; edit it freely, it is not written again.
telemetry:
  enabled: false
concurrency:
  pools:
    # One training and one evaluation at a time; corpus work is not pooled.
    default_limit: 1
  runs:
    max_concurrent_runs: 4
run_monitoring:
  enabled: true
  # A run that was cancelled or killed gives its pool slots back.
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 0
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 7
      success: 30
      failure: 90
"""


def prepare_instance(home: Home) -> Path:
    """Create the instance folder with its settings and name it in DAGSTER_HOME."""
    home.create()
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        with atomic_write(settings) as file:
            file.write(SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    return home.dagster
