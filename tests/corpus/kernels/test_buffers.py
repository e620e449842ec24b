from __future__ import annotations

import numpy as np
import pyarrow as pa

from tagarela_dagster.corpus.kernels.buffers import text_buffers, texts_from_buffers


def test_texts_have_one_type_for_kernels_wherever_they_come_from() -> None:
    read = pa.array(["Olá,", "mundo"], pa.large_string())
    made = texts_from_buffers(
        np.frombuffer(b"Ol\xc3\xa1,mundo", np.uint8).copy(), np.array([0, 5, 10])
    )
    empty = pa.array([], pa.large_string())
    for texts in (read, made, empty, read[1:], pa.array(["Olá,", None])):
        data, offsets = text_buffers(texts)
        assert not data.flags.writeable and not offsets.flags.writeable
        assert (data.dtype, offsets.dtype) == (np.uint8, np.int64)
        assert len(offsets) == len(texts) + 1
    assert made.equals(read)
