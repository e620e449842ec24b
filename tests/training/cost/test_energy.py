from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagarela_dagster.training.cost import energy
from tagarela_dagster.training.cost.energy import EnergyMeter, grid_intensity
from tagarela_dagster.training.cost.energy_record import ENERGY_NAME, Energy, read_energy
from tagarela_dagster.training.cost.peaks import named_device
from tagarela_dagster.training.cost.plausibility import check_energy


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Energy, Energy, set[str]]:
    """A run folder watched twice, as by a run and its resume."""
    run = tmp_path_factory.mktemp("run")
    here = {str(p) for p in Path.cwd().iterdir()}
    with EnergyMeter(run, country="PRT", seconds=0.3) as meter:
        until = time.monotonic() + 20
        while meter.kwh is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.7)
    first = meter.energy
    with EnergyMeter(run, country="PRT", seconds=0.3) as again:
        time.sleep(1)
    return run, first, again.energy, {str(p) for p in Path.cwd().iterdir()} - here


def test_a_resumed_stage_adds_to_what_was_written(watched) -> None:
    run, first, second, _ = watched
    assert 0 < first.kwh < second.kwh
    assert second.seconds > first.seconds > 0.3
    assert read_energy(run) == second
    assert first.failures == second.failures == 0


def test_nothing_is_written_but_the_runs_own_file(watched) -> None:
    run, *_, beside = watched
    assert [p.name for p in run.iterdir()] == [ENERGY_NAME]
    assert {name for name in beside if "emission" in name or "codecarbon" in name} == set()


def test_what_is_modelled_is_called_an_estimate(watched) -> None:
    _, _, total, _ = watched
    assert total.how["ram"] == "estimated"
    assert sum(total.parts.values()) == pytest.approx(total.kwh)
    if total.how["cpu"] == "estimated":
        assert total.label == "estimated"
        assert total.measured_kwh == 0
    assert total.co2e_kg == pytest.approx(total.kwh * grid_intensity("PRT"), rel=1e-6)


def test_emissions_need_a_country(tmp_path: Path) -> None:
    assert 0 < grid_intensity("BRA") < grid_intensity("PRT") < 1
    with pytest.raises(ValueError, match="'ZZZ' is no country"):
        grid_intensity("ZZZ")
    meter = EnergyMeter(tmp_path)
    meter._tracker = SimpleNamespace(_hardware=[])
    meter.record(
        SimpleNamespace(cpu_energy=1.0, gpu_energy=2.0, ram_energy=0.5, emissions=9, duration=4)
    )
    assert meter.energy.co2e_kg is None
    assert (meter.energy.measured_kwh, meter.energy.estimated_kwh) == (2.0, 1.5)
    assert meter.energy.label == "estimated"


def test_counters_make_a_measurement() -> None:
    counted = Energy(measured_kwh=3.0, estimated_kwh=0.2, parts={"cpu": 1, "gpu": 2, "ram": 0.2})
    assert counted.label == "measured"
    modelled = Energy(estimated_kwh=1.0, parts={"cpu": 1.0}, how={"cpu": "estimated"})
    both = Energy(measured_kwh=1.0, parts={"cpu": 1.0}, how={"cpu": "measured"}).plus(modelled)
    assert both.how == {"cpu": "estimated"}
    assert both.label == "estimated"


def test_a_failure_is_counted_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(meter: EnergyMeter) -> None:
        raise OSError("NVML is gone")

    monkeypatch.setattr(energy, "_tracker", fails)
    before = Energy(estimated_kwh=2.0, parts={"cpu": 2.0}, how={"cpu": "estimated"})
    (tmp_path / ENERGY_NAME).write_text(json.dumps(asdict(before)), encoding="utf-8")
    with EnergyMeter(tmp_path):
        pass
    found = read_energy(tmp_path)
    assert found is not None
    assert (found.kwh, found.failures, found.reason) == (2.0, 1, "OSError: NVML is gone")


def test_one_rank_of_a_machine_watches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "5")
    with EnergyMeter(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    assert read_energy(tmp_path) is None
    assert EnergyMeter(tmp_path, mode="process").path.name == "energy-5.json"
    assert energy.watches("process")


def test_energy_is_held_against_the_operations() -> None:
    h100 = named_device("H100 SXM")
    # An hour of 8 H100 at 40%: 8 x 989e12 x 0.4 x 3600 operations; at full power 5.6 kWh.
    flops = 8 * 989e12 * 0.4 * 3600
    known = {"device": h100, "precision": "bf16", "count": 8}

    def judged(kwh: float) -> bool | None:
        return check_energy(kwh, flops, 3600, **known).plausible  # type: ignore[arg-type]

    assert judged(4.8) is True
    assert judged(2.2) is False  # below 0.4 x 5.6
    assert judged(11.3) is False  # above twice 5.6
    said = check_energy(0.6, flops, 3600, **known).sentence  # type: ignore[arg-type]
    assert "some devices were not watched" in said
    unknown = check_energy(1, flops, 3600, device=None, precision="bf16", count=1)
    assert unknown.plausible is None
    assert "cannot be checked" in unknown.sentence
