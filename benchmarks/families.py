"""Families of rows: a package's modules with ``rows(quick)``, each run in a process of its own.

What they find is written to a file of results and into a page's table; a family that is not run
keeps the rows of the last run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.table import write_table
from tagarela_dagster.provenance.files import atomic_write

ROOT = Path(__file__).parents[1]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Families:
    """The families of a package.

    Attributes:
        package: ``benchmarks.NAME``, run by ``python -m``.
        names: its modules, in the order of the table.
        results, page: file names in benchmarks/results and docs.
        target: of the Makefile.
        environment: more variables for each family's process.
        below: what stands under the table, of all rows.
    """

    package: str
    names: Sequence[str]
    results: str
    page: str
    target: str
    environment: Mapping[str, str]
    below: Callable[[Rows], str] = lambda rows: ""

    def parser(self, description: str) -> argparse.ArgumentParser:
        """Arguments that all such packages take."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--quick", action="store_true", help="little work; writes no results")
        parser.add_argument("--only", default=",".join(self.names), help=", ".join(self.names))
        parser.add_argument("--family", choices=self.names, help=argparse.SUPPRESS)
        parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
        return parser

    def run(self, only: str, quick: bool) -> None:
        """Run the families of ``only`` and write what they find, but not with ``quick``.

        Raises:
            SystemExit: a name is unknown, or a family failed.
        """
        chosen = only.split(",")
        if unknown := set(chosen) - set(self.names):
            raise SystemExit(f"--only names {sorted(unknown)}; there are {', '.join(self.names)}")
        results = ROOT / "benchmarks" / "results" / self.results
        known = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
        failed = []
        for name in chosen:
            print(f"== {name}", flush=True)
            try:
                found = self._run_family(name, quick)
            except subprocess.CalledProcessError:
                failed.append(name)
                continue
            known = [row for row in known if row["family"] != name] + found
            known.sort(key=lambda row: self.names.index(row["family"]))
            if not quick:
                with atomic_write(results) as file:
                    json.dump(known, file, indent=1, ensure_ascii=False)
                    file.write("\n")
                write_table(ROOT / "docs" / self.page, self.target, known, self.below(known))
        if failed:
            raise SystemExit(f"failed: {', '.join(failed)} (see above)")

    def measure(self, name: str, quick: bool, into: Path) -> None:
        """Measure a family in this process: rows are printed, and written one a line."""
        family = import_module(f"{self.package}.{name}")
        with into.open("w", encoding="utf-8") as file:
            for row in family.rows(quick):
                line = json.dumps({"family": name, **row.as_json()}, ensure_ascii=False)
                print(line, flush=True)
                file.write(line + "\n")

    def _run_family(self, name: str, quick: bool) -> Rows:
        """Rows of a family. Raises CalledProcessError when it failed; its output says why."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            command = [sys.executable, "-m", self.package, "--family", name, "--into", str(path)]
            subprocess.run(
                [*command, *(["--quick"] if quick else [])],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                check=True,
            )
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
