"""Measuring and deciding in one, for text that is not in a lake: Arrow batch in, outcome out.

``tagarela filter`` and the datatrove filter use it; the graph keeps the two apart.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, EDITS
from tagarela_dagster.corpus.filtering.decide import Decide
from tagarela_dagster.corpus.filtering.measure import Measure
from tagarela_dagster.corpus.stage import Kernel, Outcome
from tagarela_dagster.recipe.corpus import Corpus


def make_kernel(corpus: Corpus, lexicon: Path | None = None) -> Kernel:
    """Kernel of a recipe's corpus section, over DOCUMENT_SCHEMA batches.

    Kept documents come back with their text cleaned and protected, dropped ones with the text
    that they came in with; edits are those of kept documents.
    """
    measure, decide = Measure(corpus, lexicon), Decide(corpus)

    def kernel(batch: pa.RecordBatch) -> Outcome:
        measured = measure(batch)
        reasons = decide(measured)
        kept = pc.is_null(reasons)
        removed = measured.column("removed").filter(kept)
        edits = {
            name: pc.sum(pc.struct_field(removed, index)).as_py() or 0
            for index, name in enumerate(EDITS)
        }
        columns = [
            pc.if_else(kept, measured.column("text"), batch.column("text").cast(pa.large_string()))
            if field.name == "text"
            else measured.column(field.name)
            for field in DOCUMENT_SCHEMA
        ]
        return Outcome(
            pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_SCHEMA),
            reasons,
            {name: size for name, size in edits.items() if size},
        )

    return kernel
