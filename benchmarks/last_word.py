"""Last-word prediction of counting words: unigram and trigram on a recipe's own training text.

    python -m benchmarks.last_word --recipe recipes/mirror.yaml

reads the clean shards of a recipe that is materialized, without the held-out documents, and prints
both baselines on the recipe's last-word items beside the newest scores of its checkpoints.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tagarela_dagster.cli.options import open_road
from tagarela_dagster.corpus.held_out import is_held_out
from tagarela_dagster.corpus.shards import read_batches
from tagarela_dagster.evals.items import Item, choose_items, read_items
from tagarela_dagster.evals.last_word import HELD_OUT, items_of_documents
from tagarela_dagster.evals.ngram import NgramBaseline
from tagarela_dagster.evals.protocols import PROTOCOLS
from tagarela_dagster.evals.statistics import proportion_interval
from tagarela_dagster.resources.road import Road


def training_texts(road: Road) -> Iterator[str]:
    """Texts of the clean corpus that a model of the recipe may have been trained on."""
    share, seed = road.recipe.evals.held_out.share, road.recipe.seed
    for manifest in road.published("clean"):
        for path in road.lake.paths(manifest, "kept/"):
            for batch in read_batches(path, ["id", "text"]):
                held = is_held_out(batch.column("id"), share, seed)
                for text, out in zip(batch.column("text").to_pylist(), held, strict=True):
                    if not out:
                        yield text


def tasks(road: Road) -> dict[str, list[Item]]:
    """Items of each task, as the evaluation takes them."""
    files = {p.stem: p for p in road.lake.paths(road.lake.require("benchmarks"), "items/")}
    found = {}
    for name, task in road.recipe.evals.last_word.items():
        if task.data == HELD_OUT:
            documents = road.lake.paths(road.lake.require("held_out"), "held_out")[0]
            items = items_of_documents(documents)
        else:
            items = read_items(files[name]).items
        found[name] = choose_items(items, task.max_items)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default=None)
    parser.add_argument("--scale", default=None)
    given = parser.parse_args()
    road = open_road(given.recipe, given.scale)
    sets = tasks(road)
    baseline = NgramBaseline([item for items in sets.values() for item in items])
    baseline.read(training_texts(road))
    print(f"{baseline.read_words / 1e6:.1f} M words of training text")
    answers = {"unigram": baseline.unigram(), "trigram": baseline.trigram()}
    first = 0
    for task, items in sets.items():
        for name, found in answers.items():
            mine = found[first : first + len(items)]
            for protocol, reading in PROTOCOLS.items():
                right = [reading.score(a, i.last_word) for a, i in zip(mine, items, strict=True)]
                low, high = proportion_interval(right, [item.group for item in items])
                value = sum(right) / len(right)
                print(f"{task:22} {protocol:8} {name:8} {value:.4f}  ({low:.4f} – {high:.4f})")
        first += len(items)
    key, rows = road.newest_scores()
    for row in rows:
        print(
            f"{row['task']:22} {row['protocol']:8} {key}  {row['value']:.4f}  "
            f"({row['low']:.4f} – {row['high']:.4f})"
        )


if __name__ == "__main__":
    main()
