from __future__ import annotations

import pytest

from tests.cli.conftest import Tagarela

TEACHES: dict[str, tuple[str, ...]] = {
    "demo": ("Run the whole road", "ledger and the scores", "Run it again", "--recipe"),
    "ui": ("Ctrl-C ends both", "03:00", "no login", "--port"),
    "materialize": ("missing or stale", "+clean", "tokenizer+", "oscar@2023-06", "--scale"),
    "plan": ("Plan every training", "hours, energy, disk", "Exit code 1", "--cluster", "--mfu"),
    "ledger": (
        "{stage, source, snapshot, documents_in, documents_kept, dropped: {reason: documents}, "
        "bytes_in, bytes_kept}",
        "--json",
        "--by",
        "--picture",
    ),
    "filter": (
        "Parquet or JSONL",
        "text column",
        "OUT/kept.parquet",
        "OUT/dropped.parquet (with reason)",
        "OUT/summary.json",
        "OUT/quarantine.jsonl",
        "id is optional",
        "Needs no Dagster",
    ),
    "dedup": (
        "Parquet or JSONL",
        "IN… OUT",
        "OUT/kept.parquet",
        "OUT/dropped.parquet (with reason)",
        "OUT/clusters.parquet (cluster, id, kept, size, kind)",
        "OUT/summary.json",
        "OUT/quarantine.jsonl",
        "the earlier input's survives",
    ),
    "evaluate": (
        "{task, protocol, shots, metric, value, low, high, items}",
        "gloria, tucano",
        "bits_per_byte",
        "JSONL, CSV, Parquet",
        "Hugging Face layout",
        "--json",
    ),
    "trace": ("Follow a document through every stage", "ID|URL|HOST|HASH", "--json"),
    "forget": ("keep it out", "tombstone", "--copies", "tagarela materialize"),
    "verify": ("compare it with its hash", "--repair", "Exit code 1"),
    "export": ("Croissant", "SHA256SUMS", "datasets.load_dataset", "OUT"),
    "apply-delta": ("released weight difference", "bit for bit", "--base", "--out"),
    "chat": ("Talk to a model", "Ctrl-D ends it", "the recipe's own"),
}


def test_the_first_page_lists_every_command_and_says_where_to_begin(tagarela: Tagarela) -> None:
    said = tagarela("--help")
    assert said.code == 0
    assert "Start with tagarela demo, then tagarela ui." in said.text
    for command in TEACHES:
        assert f" {command} " in said.text
    for variable in ("TAGARELA_RECIPE", "TAGARELA_SCALE", "TAGARELA_HOME", "TAGARELA_WORKERS"):
        assert variable in said.text


def test_without_a_command_the_first_page_is_shown(tagarela: Tagarela) -> None:
    assert tagarela().text == tagarela("--help").text


@pytest.mark.parametrize("command", TEACHES)
def test_help_names_inputs_outputs_and_formats(tagarela: Tagarela, command: str) -> None:
    said = tagarela(command, "--help")
    assert said.code == 0
    assert said.err == ""
    assert [words for words in TEACHES[command] if words not in said.text] == []
    assert tagarela(command, "-h").out == said.out


def test_an_option_that_does_not_exist_is_a_usage_error(tagarela: Tagarela) -> None:
    said = tagarela("ledger", "--jsn")
    assert said.code == 2
    assert "No such option" in said.err
