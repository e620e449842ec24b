from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagarela_dagster.resources.home import (
    HOME_VARIABLE,
    WORKERS_VARIABLE,
    Home,
    HomeError,
    workers,
)
from tagarela_dagster.resources.instance import prepare_instance


def test_recipes_and_scales_have_homes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    assert Home.of("sample").root == tmp_path / "sample"
    assert Home.of("sample", "tiny").root == tmp_path / "sample-tiny"


def test_without_a_variable_the_home_is_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert Home.of("sample").root == tmp_path / ".tagarela" / "sample"


def test_a_home_is_made_with_its_folders_and_leaves_no_trace_of_trying(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b").create()
    assert sorted(p.relative_to(home.root).as_posix() for p in home.root.rglob("*")) == [
        "dagster",
        "lake",
        "runs",
    ]
    assert home.create() == home


@pytest.mark.parametrize("place", ["/proc/tagarela", "/sys/tagarela"])
def test_a_home_that_cannot_be_written_to_says_why_and_what_to_do(place: str) -> None:
    with pytest.raises(HomeError) as error:
        Home(Path(place) / "sample").create()
    message = str(error.value)
    assert message.startswith(f"{place}/sample cannot be written to (")
    assert message.endswith(f"): make it writable, or set {HOME_VARIABLE} to another folder")


def test_a_file_in_the_way_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "sample").write_text("not a folder")
    with pytest.raises(HomeError, match=rf"{tmp_path}/sample cannot be written to \(Not a dir"):
        Home(tmp_path / "sample").create()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_home_is_refused_before_any_work(tmp_path: Path) -> None:
    home = Home(tmp_path / "sample").create()
    home.lake.chmod(0o500)
    with pytest.raises(HomeError, match="Permission denied"):
        home.create()


def test_the_instance_is_written_once_and_named_for_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "elsewhere")
    home = Home(tmp_path / "sample")
    settings = prepare_instance(home) / "dagster.yaml"
    assert os.environ["DAGSTER_HOME"] == str(home.dagster)
    assert "telemetry:\n  enabled: false" in settings.read_text()
    settings.write_text("telemetry: {enabled: true}\n")
    prepare_instance(home)
    assert settings.read_text() == "telemetry: {enabled: true}\n"


def test_workers_are_the_cores_unless_the_variable_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    assert workers() == len(os.sched_getaffinity(0))
    monkeypatch.setenv(WORKERS_VARIABLE, "3")
    assert workers() == 3


@pytest.mark.parametrize("value", ["two", "0", "-1"])
def test_a_number_of_workers_that_is_none_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKERS_VARIABLE, value)
    with pytest.raises(HomeError, match=f"{WORKERS_VARIABLE} = '{value}'.*1 or more"):
        workers()
