from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import tagarela_dagster
from tagarela_dagster.automation.drive import stretches
from tagarela_dagster.automation.jobs import (
    CORPUS_STATIONS,
    NIGHT_CRON,
    NIGHT_TIMEZONE,
    TRAIN_STATIONS,
)
from tagarela_dagster.automation.selection import expand
from tagarela_dagster.definitions import build_definitions
from tagarela_dagster.recipe import load_recipe
from tagarela_dagster.recipe.models import MODEL_ASSETS
from tagarela_dagster.resources.gates import GATES
from tagarela_dagster.resources.gates_training import STAGE_GATES
from tagarela_dagster.resources.home import Home
from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import ROAD

HEAVY = ("torch", "transformers", "trl", "peft", "deepspeed", "datasets", "lm_eval", "accelerate")
PACKAGE = Path(tagarela_dagster.__file__).parent


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    return Road(load_recipe("sample"), Home(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def defs(road: Road) -> dg.Definitions:
    return build_definitions(road)


def test_loading_the_location_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, json, tagarela_dagster.definitions; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    loaded = set(json.loads(out.stdout.splitlines()[-1]))
    assert "dagster" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("library", ["provenance", "recipe", "corpus", "evals", "training"])
def test_libraries_do_not_mention_dagster(library: str) -> None:
    for path in (PACKAGE / library).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "dagster"], path


GROUPS = ("sources", "corpus", "tokens", "training", "alignment", "release", "evals")


def test_the_graph_is_the_road(defs: dg.Definitions, road: Road) -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): sorted(k.to_user_string() for k in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    sources = sorted(road.recipe.sources)
    assert found == {
        **{source: [] for source in sources},
        "benchmarks": [],
        "documents": sources,
        "measured": ["documents"],
        "signatures": ["measured"],
        "filtered": ["measured"],
        "clusters": ["filtered", "signatures"],
        "deduped": ["clusters", "filtered"],
        "clean": ["benchmarks", "deduped", "measured"],
        "contamination": ["benchmarks", "clean"],
        "held_out": ["clean"],
        "tokenizer": ["clean"],
        "tokens": ["clean", "tokenizer"],
        "card": ["clean", "tokens"],
        "mixture": ["tokens"],
        "pretrain": ["mixture", "tokenizer"],
        "checkpoints": ["pretrain", "sft"],
        "sft": ["pretrain"],
        "scores": ["benchmarks", "checkpoints", "contamination", "held_out"],
    }


def test_every_asset_reads_well_on_the_page(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description and node.description.split("\n")[0].endswith(".")
        assert node.owners and node.kinds
        assert node.group_name in GROUPS
        if node.is_executable:
            assert node.code_version


def test_gates_block_and_every_station_says_whether_its_recipe_is_current(
    defs: dg.Definitions, road: Road
) -> None:
    graph = defs.resolve_asset_graph()
    checks = {(k.asset_key.to_user_string(), k.name): graph.get(k) for k in graph.asset_check_keys}
    gates = {(asset, name) for asset, named in GATES.items() for name in named}
    for stage, station in road.stations.items():
        gates |= {(stage, name) for name in STAGE_GATES.get(station.kind, {})}
    assert {key for key, node in checks.items() if node.blocking} == gates
    named = {asset for asset, name in checks if name == "recipe_current"}
    assert named == {*ROAD, "pretrain", "sft"} - {*MODEL_ASSETS, "repeats"}


def test_schedule_and_sensor_run_by_default(defs: dg.Definitions) -> None:
    schedule = defs.resolve_schedule_def("nightly_refresh")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (NIGHT_CRON, NIGHT_TIMEZONE)
    assert (NIGHT_CRON, NIGHT_TIMEZONE) == ("0 3 * * *", "America/Sao_Paulo")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    sensor = defs.resolve_sensor_def("evaluate_new_checkpoints")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    for job in ("demo", "corpus", "train", "evaluate"):
        assert defs.resolve_job_def(job).name == job


def test_every_station_but_scores_belongs_to_one_of_the_two_refreshing_jobs() -> None:
    stations = [*CORPUS_STATIONS, *TRAIN_STATIONS, "scores"]
    assert sorted(stations) == sorted(ROAD), "training stages are the recipe's own"


def test_stretches_are_cut_where_the_scope_changes(road: Road) -> None:
    assert list(stretches(road))[1:] == [
        ("benchmarks",),
        ("documents", "measured", "signatures", "filtered"),
        ("clusters",),
        ("deduped", "clean"),
        ("contamination", "held_out", "tokenizer"),
        ("tokens",),
        ("card", "mixture", "pretrain", "sft"),
        ("scores",),
    ]


def test_selections_reach_up_and_down_the_road(road: Road) -> None:
    assert expand(road, "filtered") == ("filtered",)
    assert set(expand(road, "+filtered")) == {
        *road.recipe.sources,
        "documents",
        "measured",
        "filtered",
    }
    assert expand(road, "mixture+") == ("mixture", "pretrain", "sft", "scores")
    with pytest.raises(ValueError, match=r"'fitlered' is no asset; assets: .*filtered"):
        expand(road, "fitlered")
