"""What every worker process would make for itself, made once before they are forked.

The server that workers are forked from imports this (``local.PRELOADED``): spaCy's rules, character
tables, phrase automata and the kernels' machine code, some three seconds, which each worker of each
stage would otherwise spend. A worker gets them as they are and shares their memory.
"""

from __future__ import annotations

import pyarrow as pa

from tagarela_dagster.corpus.decontamination.index import ItemIndex
from tagarela_dagster.corpus.decontamination.items import BenchmarkItem
from tagarela_dagster.corpus.dedup.minhash import Signer
from tagarela_dagster.corpus.document import DOCUMENT_SCHEMA, Document
from tagarela_dagster.corpus.filtering.measure import Measure
from tagarela_dagster.recipe.corpus import Corpus

TEXT = """O comboio das sete saiu atrasado, como sai quase sempre às segundas-feiras; e ninguém na \
gare pareceu estranhar, nem a D. Amélia (que já o esperava há 25 minutos).

O comboio das sete saiu atrasado, como sai quase sempre às segundas-feiras; e ninguém estranhou.
- Leia mais: https://exemplo.pt/a?b=1 ou tel. 912 345 678, de 2.ª a 6.ª feira.
"""


def warm(corpus: Corpus) -> None:
    """Take one document through the kernels of measuring, signing and decontamination."""
    rows = [Document("1", TEXT, url="https://exemplo.pt/1").row("warm", "1")]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)
    measured = Measure(corpus)(batch)
    Signer(corpus.dedup.minhash).sign(measured.column("text"))
    index = ItemIndex([BenchmarkItem("warm", "1", (TEXT,))], corpus.decontamination)
    index.search(measured.column("text"))


warm(Corpus())
