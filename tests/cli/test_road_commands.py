from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tagarela
from tests.resources.laying import lay, lay_corpus
from tests.resources.two_sources import (
    DAMAGED,
    PARAGRAPHS,
    open_road,
    write_recipe,
    write_snapshot,
)

BOTH = ("diario@2026-01", "jornal@2026-01")
CONTRACT = (
    "stage",
    "source",
    "snapshot",
    "documents_in",
    "documents_kept",
    "dropped",
    "bytes_in",
    "bytes_kept",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for key in BOTH:
        write_snapshot(tmp_path, key, PARAGRAPHS[:3])
    write_recipe(tmp_path)
    return tmp_path


def test_ledger_rows_have_the_keys_that_programs_rely_on(folder: Path, tagarela: Tagarela) -> None:
    road = open_road(folder)
    lay_corpus(road, BOTH)
    lay(road, "documents", BOTH[0], kept=3, quarantined=2)
    said = tagarela("ledger", "--recipe", folder / "par.yaml", "--json")
    assert (said.code, said.err) == (0, "")
    rows = json.loads(said.out)
    assert [tuple(row)[: len(CONTRACT)] for row in rows] == [CONTRACT] * 8
    assert {name: rows[0][name] for name in CONTRACT} == {
        "stage": "documents",
        "source": "diario",
        "snapshot": "2026-01",
        "documents_in": 5,
        "documents_kept": 3,
        "dropped": {"quarantined_json": 2},
        "bytes_in": 50,
        "bytes_kept": 30,
    }
    for row in rows:
        assert row["documents_in"] == row["documents_kept"] + sum(row["dropped"].values())
        edits_and_drops = sum(row["dropped_bytes"].values()) + sum(row["edited_bytes"].values())
        assert row["bytes_in"] == row["bytes_kept"] + edits_and_drops


def test_the_ledger_for_people_sums_each_stage(folder: Path, tagarela: Tagarela) -> None:
    road = open_road(folder)
    lay_corpus(road, BOTH)
    lay(road, "documents", BOTH[0], kept=3, quarantined=2)
    said = tagarela("ledger", "-r", folder / "par.yaml")
    assert "documents in = kept + dropped" in said.text
    assert "documents 8 6 2 0.000 quarantined_json 2" in said.text
    assert "filtered 6 6 0 0.000" in said.text


def test_a_ledger_of_nothing_is_empty(folder: Path, tagarela: Tagarela) -> None:
    said = tagarela("ledger", "-r", folder / "par.yaml", "--json")
    assert (said.code, json.loads(said.out)) == (0, [])
    assert not (folder / "home").exists(), "asking makes nothing"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_whoever_reads_the_ledger_may_stop_reading(
    folder: Path, environment: dict[str, str], unbuffered: str
) -> None:
    lay_corpus(open_road(folder), BOTH)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tagarela_dagster.cli", "ledger", "--json"]
    result = subprocess.run(
        [*command, "-r", str(folder / "par.yaml")],
        stdout=write,
        stderr=subprocess.PIPE,
        env={**environment, "PYTHONUNBUFFERED": unbuffered},
        text=True,
        check=False,
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (1, "")


def test_a_recipe_that_does_not_exist_is_a_sentence(tagarela: Tagarela) -> None:
    sentence = tagarela("ledger", "--recipe", "nada").sentence
    assert sentence.startswith("there is no recipe nada: give a file, or one of ")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("corpus: {quality: {min_wrods: 3}}\n", "corpus.quality.min_wrods is not a known key"),
        (
            "corpus: {language: {min_score: 1.5}}\n",
            "corpus.language.min_score = 1.5: Input should be less than or equal to 1",
        ),
    ],
)
@pytest.mark.parametrize("command", ["demo", "materialize", "ledger", "ui"])
def test_a_bad_recipe_is_a_sentence_with_file_key_and_range(
    folder: Path, tagarela: Tagarela, command: str, more: str, says: str
) -> None:
    path = write_recipe(folder, more)
    arguments = ["--port", "39999"] if command == "ui" else []
    sentence = tagarela(command, "--recipe", path, *arguments).sentence
    assert sentence.startswith(f"{path}: {says}")
    assert not (folder / "home").exists()


def test_a_scale_that_does_not_exist_is_a_sentence(folder: Path, tagarela: Tagarela) -> None:
    said = tagarela("ledger", "-r", folder / "par.yaml", "--scale", "huge")
    assert said.sentence == "scale 'huge' is not one of full, tiny"


def test_an_asset_that_does_not_exist_is_a_sentence(folder: Path, tagarela: Tagarela) -> None:
    said = tagarela("materialize", "-r", folder / "par.yaml", "--select", "fitlered")
    assert said.sentence.startswith("'fitlered' is no asset; assets: jornal, diario, benchmarks, ")


def test_a_partition_that_does_not_exist_is_a_sentence(folder: Path, tagarela: Tagarela) -> None:
    said = tagarela("materialize", "-r", folder / "par.yaml", "--partition", "jornal@1999")
    assert said.sentence == (
        "'jornal@1999' is no snapshot and no checkpoint of this recipe; snapshots: "
        "diario@2026-01, jornal@2026-01"
    )


def test_a_source_folder_that_is_missing_is_a_sentence(tmp_path: Path, tagarela: Tagarela) -> None:
    said = tagarela("materialize", "-r", write_recipe(tmp_path))
    assert f"there is no folder {tmp_path}/jornal; put the source's files there" in said.sentence


def test_a_home_that_cannot_be_written_to_is_a_sentence(
    folder: Path, tagarela: Tagarela, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGARELA_HOME", "/proc/tagarela")
    said = tagarela("materialize", "-r", folder / "par.yaml")
    assert said.sentence.startswith("/proc/tagarela/par cannot be written to (")
    assert said.sentence.endswith("make it writable, or set TAGARELA_HOME to another folder")


def test_a_disk_too_full_for_the_database_is_a_sentence(
    folder: Path, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "tagarela_dagster.cli", "materialize", "--select", "jornal"]
    result = subprocess.run(
        [*command, "-r", str(folder / "par.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert (result.returncode, result.stdout) == (1, "")
    place = folder / "home" / "par" / "dagster"
    assert result.stderr.startswith(f"tagarela: the database below {place} cannot be used (")
    assert result.stderr.endswith("free some space there, or set TAGARELA_HOME to another folder\n")
    assert open_road(folder).lake.partitions("jornal") == []


def test_materialize_runs_what_is_missing_then_finds_it_fresh(
    folder: Path, tagarela: Tagarela
) -> None:
    arguments = ("materialize", "-r", folder / "par.yaml", "--select", "jornal,documents")
    first = tagarela(*arguments, "--partition", BOTH[1])
    assert (first.code, first.text) == (0, "2 legs run, 0 partitions were fresh.")
    assert "documents · jornal@2026-01 missing" in " ".join(first.err.split())
    again = tagarela(*arguments, "--partition", BOTH[1])
    assert (again.code, again.text) == (0, "Everything is fresh: 2 partitions, nothing to do.")
    assert open_road(folder).state("documents", BOTH[1]) == "fresh"
    assert open_road(folder).state("documents", BOTH[0]) == "missing"


def test_a_partition_that_a_gate_blocks_ends_the_command_with_1_and_its_sentence(
    folder: Path, tagarela: Tagarela
) -> None:
    write_snapshot(folder, BOTH[1], PARAGRAPHS[:2], DAMAGED)
    arguments = ("materialize", "-r", folder / "par.yaml", "--select", "+documents")
    said = tagarela(*arguments)
    assert said.code == 1
    assert "failed documents · jornal@2026-01" in said.err
    assert "6 of 8 records are quarantined, more than 50%" in said.err
    assert open_road(folder).state("documents", BOTH[0]) == "fresh"
    assert tagarela("ledger", "-r", folder / "par.yaml").code == 0


def test_a_port_in_use_is_a_sentence_that_names_the_option(
    folder: Path, tagarela: Tagarela
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = tagarela("ui", "-r", folder / "par.yaml", "--port", str(port))
    assert said.sentence == (
        f"port {port} on 127.0.0.1 cannot be used (Address already in use): choose another one "
        "with --port, or end the program that has it"
    )
    assert not (folder / "home").exists()


def test_an_address_of_another_machine_is_a_sentence(folder: Path, tagarela: Tagarela) -> None:
    said = tagarela("ui", "-r", folder / "par.yaml", "--host", "192.0.2.1", "--port", "39998")
    assert said.sentence.startswith("port 39998 on 192.0.2.1 cannot be used (Cannot assign")
