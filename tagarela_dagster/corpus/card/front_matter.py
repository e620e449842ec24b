"""The YAML that README.md opens with, for the hub and ``datasets``."""

from __future__ import annotations

from typing import Any

import yaml

from tagarela_dagster.corpus.card.facts import CorpusFacts

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
SIZE_NAMES = "n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B n>1B".split()


def front_matter(facts: CorpusFacts) -> str:
    """YAML metadata between lines of dashes (huggingface/hub-docs, datasetcard.md)."""
    license_ = facts.card.license
    configs: list[dict[str, Any]] = [
        {"config_name": "default", "default": True, "data_files": "data/*/*.parquet"}
    ]
    configs += [
        {"config_name": source.name, "data_files": f"data/{source.name}/*.parquet"}
        for source in facts.sources
        if source.documents
    ]
    content = {
        "pretty_name": facts.title,
        "language": ["pt"],
        "license": license_.lower() if license_ else "other",
        **({} if license_ else {"license_name": "per-document"}),
        "size_categories": [SIZE_NAMES[sum(facts.documents >= size for size in SIZES)]],
        "task_categories": ["text-generation"],
        "tags": ["croissant", "portuguese", "tagarela"],
        "configs": configs,
    }
    dumped = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return f"---\n{dumped}---\n"
