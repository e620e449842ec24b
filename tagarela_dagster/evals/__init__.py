"""Scores: benchmarks, protocols, statistics. A plain library: no Dagster."""
