"""Selections on the command line: ``filtered``, ``+clean``, ``tokenizer+``, comma-separated."""

from __future__ import annotations

from tagarela_dagster.resources.road import Road
from tagarela_dagster.resources.stations import SOURCE


def expand(road: Road, selection: str) -> tuple[str, ...]:
    """Assets that a selection names, in the order of the road.

    Raises:
        ValueError: a name is no asset of this recipe.
    """
    upstream = _upstream(road)
    downstream: dict[str, set[str]] = {name: set() for name in upstream}
    for name, reads in upstream.items():
        for read in reads:
            downstream[read].add(name)
    chosen: set[str] = set()
    for part in filter(None, (p.strip() for p in selection.split(","))):
        name = part.strip("+")
        if name not in upstream:
            raise ValueError(f"{name!r} is no asset; assets: {', '.join(upstream)}")
        chosen.add(name)
        if part.startswith("+"):
            chosen |= _reach(name, upstream)
        if part.endswith("+"):
            chosen |= _reach(name, downstream)
    return tuple(name for name in upstream if name in chosen)


def _upstream(road: Road) -> dict[str, set[str]]:
    sources: dict[str, set[str]] = {name: set() for name in road.recipe.sources}
    graph = dict(sources)
    for name in road.stations:
        graph[name] = {
            r for read in road.reads(name) for r in (sources if read == SOURCE else (read,))
        }
    graph["scores"] = graph["scores"] | set(road.recipe.training.all_stages)
    return graph


def _reach(name: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in edges[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found
