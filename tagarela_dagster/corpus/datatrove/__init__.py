"""The kernels as ordinary datatrove steps, for anybody's datatrove pipeline.

    from tagarela_dagster.corpus.datatrove import GopherRepetitionFilter

instead of ``from datatrove.pipeline.filters import GopherRepetitionFilter``. docs/datatrove.md has
a whole pipeline, and what was measured beside datatrove's own steps.
"""

from tagarela_dagster.corpus.datatrove.c4 import C4QualityFilter
from tagarela_dagster.corpus.datatrove.decontamination import DecontaminationFilter
from tagarela_dagster.corpus.datatrove.formatters import (
    BoilerplateFormatter,
    CleanupFormatter,
    PIIFormatter,
)
from tagarela_dagster.corpus.datatrove.language import LanguageFilter
from tagarela_dagster.corpus.datatrove.minhash import MinhashDedupSignature
from tagarela_dagster.corpus.datatrove.rules import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from tagarela_dagster.corpus.datatrove.whole import TagarelaFilter

__all__ = [
    "BoilerplateFormatter",
    "C4QualityFilter",
    "CleanupFormatter",
    "DecontaminationFilter",
    "FineWebQualityFilter",
    "GopherQualityFilter",
    "GopherRepetitionFilter",
    "LanguageFilter",
    "MinhashDedupSignature",
    "PIIFormatter",
    "TagarelaFilter",
]
