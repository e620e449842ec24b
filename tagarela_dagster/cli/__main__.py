"""``python -m tagarela_dagster.cli``: the same as ``tagarela``."""

from tagarela_dagster.cli.app import main

main()
