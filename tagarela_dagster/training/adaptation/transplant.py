"""How each token of a new vocabulary is made from the tokens of an old one.

A plan is a weighted sum for every new token: (old ids, weights). It is made from the vocabularies
alone, and applied alike to the input embeddings and to the output layer. A token that both have is
itself; another is the mean of the pieces that the old tokenizer cuts its text into (Gee et al.,
"Fast Vocabulary Transfer", arXiv 2402.09977), or a sparse combination (pursuit.py). A token of
broken UTF-8 is the mean of its bytes' tokens.

Special tokens. After the end token nothing is read but a new document, so its *input* embedding is
the old beginning token's, which a model may lean its attention on; its *output* row is the old end
token's. With tied embeddings it is the end token's for both. Padding, never read nor predicted,
takes the end token's; a role token is the mean of the pieces of the word in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.adaptation.token_bytes import token_bytes, without_prefix

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer as Encoder

Mixture = tuple[list[int], list[float]]
"""Old ids and their weights."""
SHARED, PIECES, SPECIAL, UNKNOWN = "shared", "pieces", "special", "unknown"
_WORD = re.compile(r"\w+")


@dataclass
class Plan:
    """For each new token the old ones that it is made of.

    Attributes:
        mixtures: new id -> old ids and weights; none for a token that nothing is known of.
        kinds: new id -> how it was found.
        inputs: new id -> mixture of the input embedding where it differs from ``mixtures``.
    """

    mixtures: list[Mixture]
    kinds: list[str]
    inputs: dict[int, Mixture] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """Tokens of a kind."""
        return self.kinds.count(kind)


def plan_transplant(old: Any, new: Any) -> Plan:
    """Plan for the vocabulary of ``new`` from that of ``old`` (transformers' fast tokenizers)."""
    old_encoder, new_encoder = old.backend_tokenizer, new.backend_tokenizer
    old_bytes, new_bytes = token_bytes(old_encoder), token_bytes(new_encoder)
    by_bytes: dict[bytes, int] = {}
    for number, value in enumerate(old_bytes):
        if value:
            by_bytes.setdefault(value, number)
    bare = without_prefix(old_encoder)
    mixtures: list[Mixture] = []
    kinds: list[str] = []
    for number in range(len(new)):
        value = new_bytes[number] if number < len(new_bytes) else None
        if value is None:
            word = _WORD.search(new.convert_ids_to_tokens(number) or "")
            mixtures.append(_mean(_pieces(word[0].encode() if word else b"", bare, by_bytes)))
            kinds.append(SPECIAL)
        elif value in by_bytes:
            mixtures.append(([by_bytes[value]], [1.0]))
            kinds.append(SHARED)
        else:
            mixtures.append(_mean(_pieces(value, bare, by_bytes)))
            kinds.append(PIECES if mixtures[-1][0] else UNKNOWN)
    plan = Plan(mixtures, kinds)
    _map_special(plan, old, new)
    return plan


def _map_special(plan: Plan, old: Any, new: Any) -> None:
    end: Mixture = ([old.eos_token_id], [1.0])
    for number in {new.eos_token_id, new.bos_token_id, new.pad_token_id} - {None}:
        plan.mixtures[number], plan.kinds[number] = end, SPECIAL
    if old.bos_token_id is not None and new.eos_token_id == new.bos_token_id:
        plan.inputs[new.eos_token_id] = ([old.bos_token_id], [1.0])


def _pieces(value: bytes, bare: Encoder, by_bytes: dict[bytes, int]) -> list[int]:
    try:
        return bare.encode(value.decode(), add_special_tokens=False).ids
    except UnicodeDecodeError:
        single = (by_bytes.get(bytes([byte])) for byte in value)
        return [number for number in single if number is not None]


def _mean(ids: list[int]) -> Mixture:
    return ids, [1 / len(ids) for _ in ids]


def mix(
    embeddings: torch.Tensor, mixtures: list[Mixture], generator: torch.Generator
) -> torch.Tensor:
    """(new tokens, width) fp32 rows; a token without a mixture is drawn like the old ones.

    Args:
        embeddings: (old tokens, width) fp32.
    """
    import torch

    known = [number for number, (ids, _) in enumerate(mixtures) if ids]
    rows = random_rows(embeddings, len(mixtures), generator)
    ids = torch.tensor([i for number in known for i in mixtures[number][0]])
    weights = torch.tensor([w for number in known for w in mixtures[number][1]])
    firsts = torch.tensor([0, *(len(mixtures[number][0]) for number in known)]).cumsum(0)[:-1]
    rows[known] = torch.nn.functional.embedding_bag(
        ids, embeddings, firsts, mode="sum", per_sample_weights=weights
    )
    return rows


def random_rows(embeddings: torch.Tensor, rows: int, generator: torch.Generator) -> torch.Tensor:
    """(rows, width) from a normal distribution with each column's mean and deviation."""
    import torch

    noise = torch.randn(rows, embeddings.shape[1], generator=generator)
    return embeddings.mean(0) + noise * embeddings.std(0)
