"""The ``tagarela`` command, called as its console script calls it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagarela_dagster.cli import main

VARIABLES = ("TAGARELA_RECIPE", "TAGARELA_SCALE", "TAGARELA_HOME", "TAGARELA_TRACEBACK")
FRAME = re.compile(r"[│╭╮╰╯─┃━┏┓┗┛┡┩┳┻╇]")


@dataclass(frozen=True)
class Said:
    """What a command said and its exit code."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Standard output as one line, without the frames of tables and help."""
        return " ".join(FRAME.sub(" ", self.out).split())

    @property
    def sentence(self) -> str:
        """Standard error, which must be one sentence of a failed command."""
        assert self.code == 1, f"exit code {self.code}: {self.out}{self.err}"
        assert self.err.startswith("tagarela: "), self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("tagarela: ").removesuffix("\n")


Tagarela = Callable[..., Said]


@pytest.fixture
def tagarela(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tagarela:
    """Call ``tagarela`` in this process, with a home of its own."""
    for name in (*VARIABLES, "DAGSTER_HOME"):
        # Set first, so that what a command writes into the environment is taken out again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAGARELA_HOME", str(tmp_path / "home"))

    def call(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["tagarela", *map(str, arguments)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Said(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return call


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment for a ``tagarela`` in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**clean, "TAGARELA_HOME": str(tmp_path / "home")}
