"""Build the sample corpus: texts and plan to native files and ``expected.json``.

Same texts and plan, same bytes (but for what a machine's own zlib makes of gzip and zip data).

    python -m tagarela_dagster.sample.build [FOLDER]
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write, replace_folder
from tagarela_dagster.sample.expected import row
from tagarela_dagster.sample.formats.context import Context
from tagarela_dagster.sample.plan import Plan, read_plan
from tagarela_dagster.sample.prose import SAMPLE, read_prose

FORMATS = {
    "oscar": "oscar",
    "arquivo_pt": "arquivo_pt",
    "wikipedia": "wikipedia",
    "opensubtitles": "opensubtitles",
    "europarl": "europarl",
    "parlamint": "parlamint",
    "camara": "camara",
    "debates": "speeches",
    "livros": "books",
}
"""Source of the sample -> module in ``formats`` that writes it."""


def build(folder: Path) -> list[dict[str, Any]]:
    """Write every source below ``folder`` and ``expected.json`` beside them; return its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = read_plan()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as name:
        staging = Path(name)
        rows = _write(staging, plan)
        for source in plan:
            replace_folder(staging / source, folder / source)
    with atomic_write(folder / "expected.json") as file:
        json.dump(rows, file, ensure_ascii=False, indent=1)
        file.write("\n")
    return rows


def _write(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    texts = read_prose()
    rows = []
    for source, snapshots in plan.items():
        writer = import_module(f"tagarela_dagster.sample.formats.{FORMATS[source]}")
        for snapshot, files in snapshots.items():
            for file, items in files.items():
                context = Context(source, snapshot, file, texts)
                ids = writer.write(folder / source / snapshot / file, items, context)
                rows += [row(source, snapshot, file, item, ids[item.label]) for item in items]
    return rows


def main() -> None:
    """Build into the package's own folder, or into the one that is named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    rows = build(folder)
    kept = sum(row["outcome"] == "kept" for row in rows)
    sys.stdout.write(f"{folder}: {len(rows)} records, {kept} of them to be kept\n")


if __name__ == "__main__":
    main()
