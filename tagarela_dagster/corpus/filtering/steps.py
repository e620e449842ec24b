"""Steps of measuring that work document by document."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.filtering.pii import treat
from tagarela_dagster.corpus.filtering.work import Work
from tagarela_dagster.recipe.filtering import Pii


class Protect:
    """Personal data."""

    def __init__(self, section: Pii) -> None:
        self.section = section.model_copy(update={"action": "replace"})

    def __call__(self, work: Work) -> None:
        """Edit ``pii``, signal ``pii_found``."""
        found = [treat(text, self.section) for text in work.texts.to_pylist()]
        work.edit("pii", pa.array([text for text, _, _ in found], pa.large_string()))
        work.signal("pii_found", np.array([count for _, count, _ in found]))
