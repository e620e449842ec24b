from __future__ import annotations

import json
import logging
import struct
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tracking import trackers
from tagarela_dagster.training.tracking.metrics import Metrics, rewind_metrics
from tagarela_dagster.training.tracking.trackers import Trackers, numbers, open_trackers

CONFIG = {"steps": 6, "model": {"hidden": 32}}


def row(step: int, loss: float | None = None) -> dict[str, Any]:
    return {"step": step, "loss": loss or 6 / step, "tokens_per_source": {"rio": 10 * step}}


def train(run: Path, steps: Iterable[int], loss: float | None = None) -> Trackers:
    """What a loop does from a checkpoint on."""
    steps = list(steps)
    rewind_metrics(run, steps[0] - 1)
    metrics, shown = Metrics(run), open_trackers(run, "pretrain", CONFIG)
    for step in steps:
        metrics.write(row(step, loss))
        shown.write(row(step, loss))
    metrics.close()
    shown.close()
    return shown


def choose(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setenv("TAGARELA_TRACKING", names)


def curve(run: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(name)]


def test_tensorboard_draws_each_number_and_a_resumed_run_draws_over_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGARELA_TRACKING", raising=False)
    assert train(tmp_path, range(1, 5)).failures == {}
    assert curve(tmp_path, "loss") == [(1, 6.0), (2, 3.0), (3, 2.0), (4, 1.5)]
    assert curve(tmp_path, "tokens_per_source/rio")[-1] == (4, 40.0)
    train(tmp_path, range(3, 7), loss=9.0)
    assert curve(tmp_path, "loss") == [(1, 6.0), (2, 3.0), *[(step, 9.0) for step in (3, 4, 5, 6)]]


def test_a_tracker_is_given_what_it_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(monkeypatch, "none")
    train(tmp_path, range(1, 4))
    assert not (tmp_path / "tensorboard").exists()
    choose(monkeypatch, "tensorboard")
    train(tmp_path, range(4, 6))
    assert [step for step, _ in curve(tmp_path, "loss")] == [1, 2, 3, 4, 5]


def test_mlflow_has_each_step_once_in_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    choose(monkeypatch, "mlflow")
    # A store that needs no 20 s to lay out a database.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert train(tmp_path, range(1, 5)).failures == {}
    assert train(tmp_path, range(3, 7)).failures == {}
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tagarela")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("pretrain", "FINISHED")
    assert found.data.params == {"steps": "6", "model.hidden": "32"}
    history = client.get_metric_history(found.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(n, 6 / n) for n in range(1, 7)]


def wandb_records(data: bytes) -> list[bytes]:
    """Records of a .wandb file: LevelDB's log format behind a header of 7 bytes, each record with
    its checksum, length and type (1 whole; 2, 3, 4 first, middle and last part)."""
    records, part, at = [], b"", 7
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # the rest of a block is padding
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            records.append(part)
            part = b""
    return records


def test_wandb_keeps_a_run_in_the_run_folder_when_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.proto import wandb_internal_pb2

    choose(monkeypatch, "wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert train(tmp_path, range(1, 4)).failures == {}
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    history, identity = [], set()
    for data in wandb_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            identity.add((record.run.run_id, record.run.project, record.run.display_name))
        if record.HasField("history"):
            items = {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }
            history.append((items["_step"], items["loss"]))
    assert history == [(1, 6.0), (2, 3.0), (3, 2.0)]
    known = json.loads((tmp_path / "tracking/wandb.json").read_text())
    assert identity == {(known["id"], "tagarela", "pretrain")} and known["step"] == 3


def test_a_tracker_that_fails_is_switched_off_with_one_line_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    choose(monkeypatch, "tensorboard,mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING):
        shown = train(tmp_path, range(1, 4))
    assert list(shown.failures) == ["mlflow"]
    (line,) = [r.getMessage() for r in caplog.records if r.name.endswith("trackers")]
    assert "tracker mlflow is switched off" in line
    assert len(curve(tmp_path, "loss")) == 3
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_a_folder_that_cannot_be_written_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, "tensorboard")
    (tmp_path / "tensorboard").write_text("a file")
    assert "exists" in train(tmp_path, range(1, 4)).failures["tensorboard"]


class Stuck:
    """A server that answers only when it is let."""

    def __init__(self, released: threading.Event) -> None:
        self.released = released

    def write(self, step: int, values: dict[str, float]) -> None:
        self.released.wait(20)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_a_tracker_that_hangs_holds_up_neither_a_step_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    choose(monkeypatch, "mlflow")
    monkeypatch.setitem(trackers.OPENERS, "mlflow", lambda *_: Stuck(released))
    monkeypatch.setattr(trackers, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(trackers, "QUEUED_ROWS", 5)
    started = time.perf_counter()
    (tmp_path / "few").mkdir()
    assert train(tmp_path / "few", range(1, 4)).failures == {
        "mlflow": "not done 0.2 s after the end"
    }
    (tmp_path / "many").mkdir()
    assert train(tmp_path / "many", range(1, 50)).failures == {"mlflow": "5 lines behind"}
    assert time.perf_counter() - started < 10
    released.set()


def test_a_tracker_that_there_is_none_of_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, "tensorboard, tensorbord")
    with pytest.raises(TrainingError, match=r"no tracker 'tensorbord'; known are tensorboard, wan"):
        open_trackers(tmp_path, "pretrain", CONFIG)


def test_numbers_of_a_line_are_named_by_their_place() -> None:
    line = {"step": 3, "loss": 2.5, "a": {"b": {"c": 1}}, "skipped": "loss 9", "best": True}
    line |= {"tokens_per_cell": {"x": 1}, "none": None, "list": [1]}
    assert numbers(line) == {"loss": 2.5, "a/b/c": 1.0, "skipped": 1.0, "best": 1.0}
