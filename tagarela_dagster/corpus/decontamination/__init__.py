"""Decontamination: benchmark items found in documents, taken out, and reported item by item."""

from tagarela_dagster.corpus.decontamination.kernel import make_kernel

__all__ = ["make_kernel"]
