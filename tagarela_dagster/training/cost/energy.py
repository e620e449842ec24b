"""Energy and emissions of a stage, by CodeCarbon, kept in the run folder over kills and resumes.

CodeCarbon reads counters where the machine has them (RAPL for the processor, NVML for GPUs) and
models the rest (a processor's load times its rated power, a constant for memory). What is counted
by which is said. It runs in threads of its own, offline, without files but ``energy.json``; it may
fail, which is counted and never ends a training.

    energy.json     of rank 0 (energy-R.json of rank R, where more than one rank watches), written
                    again every SECONDS: {measured_kwh, estimated_kwh, co2e_kg, seconds, country,
                    mode, parts: {cpu, gpu, ram}, how: {cpu, gpu, ram}, failures, reason}
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.training.cost.energy_record import ENERGY_NAME, Energy, read_record

COUNTRY_VARIABLE = "TAGARELA_COUNTRY"
"""ISO 3166 alpha-3 code of the grid's country; its yearly mean intensity gives the emissions."""
MODE_VARIABLE = "TAGARELA_TRACKING_MODE"
"""``machine``: one rank of each machine watches all of it; ``process``: each rank itself;
``off``: none does."""
MODES = ("machine", "process", "off")
SECONDS = 15.0
MEASURED = ("intel_rapl", "windows_emi", "intel_power_gadget")
"""CodeCarbon's modes that read a processor's counters (codecarbon/external/hardware.py)."""

logger = logging.getLogger(__name__)


def watches(mode: str | None = None) -> bool:
    """Whether this rank watches: the first of its machine, or each in mode ``process``."""
    chosen = _mode(mode)
    return chosen == "process" or (chosen == "machine" and os.environ.get("LOCAL_RANK", "0") == "0")


class EnergyMeter:
    """Watches from ``start`` to ``stop``, as a context too. A rank that has not to watch is quiet.

    Args:
        run: run folder.
        country: ISO code; default: TAGARELA_COUNTRY. Without either, energy alone is kept and
            nothing is said of emissions.
        seconds: between measurements, each of which is written.
    """

    def __init__(
        self,
        run: Path,
        country: str | None = None,
        mode: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        rank = os.environ.get("RANK", "0")
        self.path = run / (ENERGY_NAME if rank == "0" else f"energy-{rank}.json")
        self.country = country or os.environ.get(COUNTRY_VARIABLE, "")
        self.mode = _mode(mode)
        self.seconds = seconds
        self.energy = Energy()
        self._before = Energy()
        self._lock = threading.Lock()
        self._tracker: Any = None
        self._starting: threading.Thread | None = None

    @property
    def kwh(self) -> float | None:
        """So far, with the runs before; as old as the last measurement. None without any."""
        return self.energy.kwh or None

    def start(self) -> EnergyMeter:
        """Begin to watch; finding the hardware (about 2 s) happens beside the training."""
        if watches(self.mode):
            self._starting = threading.Thread(target=self._start, name="energy", daemon=True)
            self._starting.start()
        return self

    def stop(self) -> Energy:
        """End, with a last measurement."""
        if self._starting is not None:
            self._starting.join()
            self._starting = None
        if self._tracker is not None:
            try:
                self._tracker.stop()
            except Exception as error:  # a library's failure must not end a training
                self._failed(error)
            self._tracker = None
        return self.energy

    def __enter__(self) -> EnergyMeter:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        try:
            self._before = self.energy = read_record(self.path) if self.path.exists() else Energy()
            self._tracker = _tracker(self)
            self._tracker.start()
            if self._tracker._start_time is None:
                raise RuntimeError("CodeCarbon did not start; its log says why")
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        logger.warning("energy is not counted from here on: %s", reason)
        with self._lock:
            self.energy = self.energy.plus(
                Energy(failures=1, reason=reason, country=self.country, mode=self.mode)
            )
            self._write()

    def record(self, total: Any) -> None:
        """Keep what CodeCarbon has counted since the start, on top of what was before."""
        parts = {"cpu": total.cpu_energy, "gpu": total.gpu_energy, "ram": total.ram_energy}
        how = {name: self._how(name) for name in parts}
        parts = {name: kwh for name, kwh in parts.items() if kwh}
        measured = sum(kwh for name, kwh in parts.items() if how[name] == "measured")
        now = Energy(
            measured_kwh=measured,
            estimated_kwh=sum(parts.values()) - measured,
            co2e_kg=total.emissions if self.country else None,
            seconds=total.duration,
            country=self.country,
            mode=self.mode,
            parts=parts,
            how={name: how[name] for name in parts},
        )
        with self._lock:
            self.energy = self._before.plus(now)
            self._write()

    def _how(self, part: str) -> str:
        if part == "gpu":
            return "measured"  # NVML and ROCm read the board's own sensors
        modes = [getattr(hardware, "_mode", None) for hardware in self._tracker._hardware]
        counted = part == "cpu" and any(mode in MEASURED for mode in modes)
        return "measured" if counted else "estimated"

    def _write(self) -> None:
        try:
            with atomic_write(self.path) as file:
                json.dump(asdict(self.energy), file, indent=1)
        except OSError as error:
            logger.warning("energy is not written: %s", error)


def grid_intensity(country: str) -> float:
    """Yearly mean emissions of a country's electricity in kg CO2e a kWh (CodeCarbon's table).

    Raises:
        ValueError: the table has no such country.
    """
    from codecarbon.input import DataSource

    countries = DataSource().get_global_energy_mix_data()
    if country not in countries:
        raise ValueError(
            f"{COUNTRY_VARIABLE}={country!r} is no country that CodeCarbon knows: give its ISO "
            "3166 alpha-3 code (BRA, PRT)"
        )
    return countries[country]["carbon_intensity"] / 1000


def _tracker(meter: EnergyMeter) -> Any:
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.output_methods.base_output import BaseOutput

    class Keeper(BaseOutput):
        def live_out(self, total: Any, delta: Any) -> None:
            meter.record(total)

        def out(self, total: Any, delta: Any) -> None:
            meter.record(total)

    if meter.country:
        grid_intensity(meter.country)
    # Each option is given, so that neither ~/.codecarbon.config nor CODECARBON_* can send or
    # write anything.
    return OfflineEmissionsTracker(
        country_iso_code=meter.country or "PRT",  # it wants one; without ours nothing is kept
        output_methods=[],
        output_handlers=[Keeper()],
        emissions_endpoint=None,
        save_to_file=False,
        save_to_api=False,
        tracking_mode=meter.mode,
        measure_power_secs=meter.seconds,
        api_call_interval=1,
        allow_multiple_runs=True,
        log_level="error",
    )


def _mode(mode: str | None) -> str:
    mode = mode or os.environ.get(MODE_VARIABLE) or "machine"
    if mode not in MODES:
        raise ValueError(f"{MODE_VARIABLE}={mode!r}: give one of {', '.join(MODES)}")
    return mode
