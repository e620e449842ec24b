"""Measure training and write benchmarks/results/train.json and docs/training-speed.md.

    make bench-train
    python -m benchmarks.training [--quick] [--only loop,trainer]

``--quick`` takes a few steps of small models, and writes nothing but what it prints; it goes
through the code of every row, also of those that are for GPUs. ``--only`` keeps the rows of the
other families as the last run left them. Without CUDA the family ``shapes`` has no rows.
"""

from __future__ import annotations

from benchmarks.families import Families
from benchmarks.training.profile import profiles

FAMILIES = Families(
    package="benchmarks.training",
    names=("loop", "trainer", "checkpoints", "cross_entropy", "shapes"),
    results="train.json",
    page="training-speed.md",
    target="bench-train",
    environment={"TAGARELA_TRACKING": "tensorboard"},
    below=profiles,
)


def main() -> None:
    """Run the families; exit with 1 when one of them failed."""
    given = FAMILIES.parser(__doc__.splitlines()[0]).parse_args()
    if given.family:
        FAMILIES.measure(given.family, given.quick, given.into)
    else:
        FAMILIES.run(given.only, given.quick)


if __name__ == "__main__":
    main()
