"""Run the rows of the corpus engine and write benchmarks/results/corpus.json and docs/speed.md.

    make bench-corpus
    python -m benchmarks.corpus [--quick] [--only rules,dedup] [--data FOLDER]

Each family of rows runs in a process of its own, bound to one core; ``--quick`` takes a quarter of
the text or less, and writes nothing but what it prints. ``--only`` keeps the rows of the other
families as the last run left them. Peers that are not installed (text-dedup, rensa) are looked for
on PYTHONPATH; without them their rows are left out, which is said.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.corpus.rows import one_core
from benchmarks.corpus.table import write_table
from tagarela_dagster.provenance.files import atomic_write

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "corpus.json"
FAMILIES = ("rules", "measured", "dedup", "builds", "others")
"""Modules of this package with ``rows(quick)``, in the order of the table."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_family(name: str, quick: bool) -> list[dict[str, Any]]:
    """Rows of a family, run in a process of its own that prints them as they come.

    Raises:
        CalledProcessError: the family failed; its output says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        command = [sys.executable, "-m", "benchmarks.corpus", "--family", name, "--into", str(path)]
        threads = dict.fromkeys(ONE_THREAD, "1") | {"TOKENIZERS_PARALLELISM": "false"}
        subprocess.run(
            [*command, *(["--quick"] if quick else [])],
            cwd=ROOT,
            env={**os.environ, **threads},
            check=True,
        )
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure_family(name: str, quick: bool, into: Path) -> None:
    """Measure a family in this process: rows are printed, and written one a line."""
    if name != "builds":  # which gives each of its builds the cores that it needs
        one_core()
    family = import_module(f"benchmarks.corpus.{name}")
    with into.open("w", encoding="utf-8") as file:
        for row in family.rows(quick):
            line = json.dumps({"family": name, **row.as_json()}, ensure_ascii=False)
            print(line, flush=True)
            file.write(line + "\n")


def main() -> None:
    """Run the families; exit with 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little text; writes no results")
    parser.add_argument("--only", default=",".join(FAMILIES), help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--data", type=Path, help="the mirror (default: TAGARELA_MIRROR)")
    parser.add_argument("--family", choices=FAMILIES, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    given = arguments.data or os.environ.get("TAGARELA_MIRROR")
    data = Path(given) if given else ROOT.parent / "shared" / "data"
    if not (data / "corpus").is_dir():
        print(f"skipped: {data} holds no corpus (give --data or set TAGARELA_MIRROR)")
        return
    os.environ["TAGARELA_MIRROR"] = str(data.absolute())
    if arguments.family:
        measure_family(arguments.family, arguments.quick, arguments.into)
        return
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(FAMILIES):
        parser.error(f"--only names {sorted(unknown)}; there are {', '.join(FAMILIES)}")
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        try:
            found = run_family(name, arguments.quick)
        except subprocess.CalledProcessError:
            failed.append(name)
            continue
        known = [row for row in known if row["family"] != name] + found
        known.sort(key=lambda row: FAMILIES.index(row["family"]))
        if not arguments.quick:
            with atomic_write(RESULTS) as file:
                json.dump(known, file, indent=1, ensure_ascii=False)
                file.write("\n")
            write_table(ROOT / "docs" / "speed.md", known)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)} (see above)")


if __name__ == "__main__":
    main()
