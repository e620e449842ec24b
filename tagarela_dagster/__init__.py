"""Tagarela: from public Portuguese text to a scored language model, as one Dagster graph."""
