"""The ``tagarela`` command."""

from tagarela_dagster.cli.app import main

__all__ = ["main"]
