"""From source files to clean document shards. A plain library: no Dagster."""
