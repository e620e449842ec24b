from __future__ import annotations

from pathlib import Path

import pytest

from tagarela_dagster.training.tracking.metrics import Metrics, read_metrics, rewind_metrics


def write(run: Path, steps: int) -> None:
    metrics = Metrics(run)
    for step in range(1, steps + 1):
        metrics.write({"step": step, "loss": 1 / step})
    metrics.close()


TORN = [
    b'{"step": 4, "lo',
    b'{"step": 4, "loss": 0.25}',
    b"\x00" * 40 + b"\n",
    b'{"step": 4, \xff\xfe}\n',
    b"4\n",
    b'{"loss": 0.25}\n',
    b'\n{"step": 5, "loss": 0.2}\n',
]


@pytest.mark.parametrize("torn", TORN)
def test_what_follows_the_last_whole_line_does_not_count(tmp_path: Path, torn: bytes) -> None:
    write(tmp_path, 3)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(whole + torn)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
    assert rewind_metrics(tmp_path, 9) == {"step": 3, "loss": 1 / 3}
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_lines_after_a_checkpoint_are_removed_and_written_again(tmp_path: Path) -> None:
    write(tmp_path, 5)
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    assert rewind_metrics(tmp_path, 2) == {"step": 2, "loss": 0.5}
    metrics = Metrics(tmp_path)
    for step in (3, 4, 5):
        metrics.write({"step": step, "loss": 1 / step})
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole, "each line is there at once"
    metrics.close()
    assert rewind_metrics(tmp_path, 0) is None and read_metrics(tmp_path) == []


def test_a_run_without_metrics_has_none(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == [] and rewind_metrics(tmp_path, 3) is None


def test_a_value_that_is_no_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Metrics(tmp_path).write({"step": 1, "loss": float("nan")})
    assert read_metrics(tmp_path) == []
