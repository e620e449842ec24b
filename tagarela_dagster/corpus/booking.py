"""Book a batch of documents in a ledger: by reason, and by variety."""

from __future__ import annotations

import pyarrow as pa

from tagarela_dagster.corpus.ledger import Ledger

EDITED = "edited"
"""All edits together, in the account of a variety."""


def book(
    ledger: Ledger, varieties: pa.Array, reasons: pa.Array, came: pa.Array, left: pa.Array
) -> None:
    """Book the documents of a batch, in total and by variety; the caller books edits by name.

    Args:
        varieties: (rows,) string, null where unknown.
        reasons: (rows,) string, null where the document is kept.
        came: (rows,) UTF-8 bytes of each text as it came in.
        left: (rows,) and as it is when the document is kept.
    """
    names = ["variety", "reason", "came", "left"]
    table = pa.table([varieties, reasons, came, left], names=names)
    sums = table.group_by(["variety", "reason"], use_threads=False).aggregate(
        [("came", "sum"), ("left", "sum"), ("came", "count")]
    )
    for row in sums.to_pylist():
        part = ledger.of_variety(row["variety"])
        for account in (ledger, part):
            account.documents_in += row["came_count"]
            account.bytes_in += row["came_sum"]
            if row["reason"] is None:
                account.documents_kept += row["came_count"]
                account.bytes_kept += row["left_sum"]
            else:
                account.drop(row["reason"], row["came_count"], row["came_sum"])
        if row["reason"] is None and row["came_sum"] != row["left_sum"]:
            part.edit(EDITED, row["came_sum"] - row["left_sum"])
