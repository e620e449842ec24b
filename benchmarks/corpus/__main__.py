"""Run the rows of the corpus engine and write benchmarks/results/corpus.json and docs/speed.md.

    make bench-corpus
    python -m benchmarks.corpus [--quick] [--only rules,dedup] [--data FOLDER]

Each family of rows runs in a process of its own, bound to one core; ``--quick`` takes a quarter of
the text or less, and writes nothing but what it prints. ``--only`` keeps the rows of the other
families as the last run left them. Peers that are not installed (text-dedup, rensa) are looked for
on PYTHONPATH; without them their rows are left out, which is said.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.families import ROOT, Families
from benchmarks.rows import one_core

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
FAMILIES = Families(
    package="benchmarks.corpus",
    names=("rules", "measured", "dedup", "builds", "others"),
    results="corpus.json",
    page="speed.md",
    target="bench-corpus",
    environment={**dict.fromkeys(ONE_THREAD, "1"), "TOKENIZERS_PARALLELISM": "false"},
)


def main() -> None:
    """Run the families; exit with 1 when one of them failed."""
    parser = FAMILIES.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the mirror (default: TAGARELA_MIRROR)")
    given = parser.parse_args()
    mirror = given.data or os.environ.get("TAGARELA_MIRROR")
    data = Path(mirror) if mirror else ROOT.parent / "shared" / "data"
    if not (data / "corpus").is_dir():
        print(f"skipped: {data} holds no corpus (give --data or set TAGARELA_MIRROR)")
        return
    os.environ["TAGARELA_MIRROR"] = str(data.absolute())
    if given.family:
        if given.family != "builds":  # which gives each of its builds the cores that it needs
            one_core()
        FAMILIES.measure(given.family, given.quick, given.into)
        return
    FAMILIES.run(given.only, given.quick)


if __name__ == "__main__":
    main()
