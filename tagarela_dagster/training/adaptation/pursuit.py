"""A new token as a sparse combination of old ones, found by orthogonal matching pursuit.

arXiv 2506.06607 (Goddard and Fernandes Neto, "Training-Free Tokenizer Transplantation via
Orthogonal Matching Pursuit") writes each new token, in the embedding space of a *donor* model that
has the new vocabulary, as a sparse combination of tokens that both vocabularies have, and takes
the same coefficients over into the base's embedding space. A tokenizer that was trained for this
corpus has no donor model. Here the space in which the combination is sought is that of spelling: a
token is the vector of its character n-grams (1 to 4, a leading space counts as one; weighted by
rarity, unit length), which is known for old and new tokens alike. So ``Ġtrabalhadores`` may become
a sum of ``Ġtrabalhador`` and ``es``, which need not be how the old tokenizer cuts it. All of the
old vocabulary may be used, not the overlap alone: the old tokens' embeddings are known.

What spelling cannot explain (1 - R2 of the fit) is filled with the mean of the pieces:

    e(t) = R2 x sum_j c_j e(old_j) + (1 - R2) x mean of pieces

Negative coefficients are not allowed (a token is not chosen where it correlates negatively, and is
dropped when the least-squares fit makes it negative), and they are scaled to a sum of 1, so that a
row keeps the size that the model is used to. The order of choice is that of Pati et al. 1993.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagarela_dagster.training.adaptation.token_bytes import token_bytes
from tagarela_dagster.training.adaptation.transplant import PIECES, Mixture, Plan

LONGEST = 4
CANDIDATES = 128
"""Old tokens, those most alike in spelling, that a combination is sought among."""
ENOUGH = 0.999
"""Share of the vector's squared length at which a fit ends."""


def refine(plan: Plan, old: Any, new: Any, neighbours: int) -> Plan:
    """``plan`` with combinations of at most ``neighbours`` tokens in place of means of pieces."""
    from scipy import sparse

    old_texts = [value or b"" for value in token_bytes(old.backend_tokenizer)]
    new_texts = [value or b"" for value in token_bytes(new.backend_tokenizer)]
    wanted = [number for number, kind in enumerate(plan.kinds) if kind == PIECES]
    grams = [Counter(_grams(text)) for text in old_texts]
    names = {gram: column for column, gram in enumerate(sorted(set().union(*grams)))}
    seen = Counter(gram for counter in grams for gram in counter)
    rarity = np.array([math.log(len(grams) / seen[gram]) + 1 for gram in names])

    def matrix(counters: list[Counter[bytes]]) -> tuple[Any, NDArray[np.float64]]:
        """Rows of unit length before n-grams that no old token has were left out."""
        rows, columns, values, lengths = [], [], [], []
        unseen = math.log(len(grams)) + 1
        for row, counter in enumerate(counters):
            weights = {
                g: n * (rarity[names[g]] if g in names else unseen) for g, n in counter.items()
            }
            length = math.sqrt(sum(w * w for w in weights.values())) or 1.0
            for gram, weight in weights.items():
                if gram in names:
                    rows.append(row)
                    columns.append(names[gram])
                    values.append(weight / length)
            lengths.append(length)
        shape = (len(counters), len(names))
        return sparse.csr_matrix((values, (rows, columns)), shape), np.array(lengths)

    atoms, _ = matrix(grams)
    targets, _ = matrix([Counter(_grams(new_texts[number])) for number in wanted])
    mixtures = list(plan.mixtures)
    for row, number in enumerate(wanted):
        alike = (targets[row] @ atoms.T).tocoo()
        best = np.argsort(-alike.data, kind="stable")[:CANDIDATES]
        candidates = np.sort(alike.col[best])
        if len(candidates):
            space = atoms[candidates]
            correlations = np.asarray((space @ targets[row].T).todense()).ravel()
            gram_matrix = np.asarray((space @ space.T).todense())
            chosen, weights, explained = pursue(gram_matrix, correlations, neighbours)
            mixtures[number] = _blend(
                candidates[chosen].tolist(), weights, explained, plan.mixtures[number]
            )
    return Plan(mixtures, plan.kinds, plan.inputs)


def pursue(
    gram: NDArray[np.float64], correlations: NDArray[np.float64], most: int
) -> tuple[list[int], NDArray[np.float64], float]:
    """Non-negative orthogonal matching pursuit of a unit vector.

    Args:
        gram: (atoms, atoms) inner products of the atoms, of unit length.
        correlations: (atoms,) inner products of the atoms with the vector.
        most: atoms to choose at most.

    Returns:
        Atoms in the order of choice, their coefficients (all above 0), and the share of the
        vector's squared length that they explain.
    """
    chosen: list[int] = []
    weights: NDArray[np.float64] = np.zeros(0)
    explained = 0.0
    refused: set[int] = set()
    while len(chosen) < most and explained < ENOUGH:
        left = correlations - gram[:, chosen] @ weights
        left[[*chosen, *refused]] = 0.0
        atom = int(np.argmax(left))
        if left[atom] <= 1e-9:
            break
        trial = [*chosen, atom]
        block = gram[np.ix_(trial, trial)] + 1e-9 * np.eye(len(trial))
        fitted = np.linalg.solve(block, correlations[trial]).astype(np.float64)
        if (fitted <= 0).any():
            refused.add(atom)
            continue
        chosen, weights = trial, fitted
        explained = float(weights @ correlations[chosen])
    return chosen, weights, min(1.0, explained)


def _blend(
    ids: list[int], weights: NDArray[np.float64], explained: float, pieces: Mixture
) -> Mixture:
    if not ids:
        return pieces
    share = (weights / weights.sum() * explained).tolist()
    return [*ids, *pieces[0]], [*share, *((1 - explained) * w for w in pieces[1])]


def _grams(text: bytes) -> list[bytes]:
    """Character n-grams; a leading space is the word's beginning. Bytes where it is no UTF-8."""
    try:
        letters = [character.encode() for character in text.decode()]
    except UnicodeDecodeError:
        letters = [bytes([byte]) for byte in text]
    return [
        b"".join(letters[start : start + size])
        for size in range(1, LONGEST + 1)
        for start in range(len(letters) - size + 1)
    ]
