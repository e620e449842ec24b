"""Bits per byte: how well a model predicts held-out documents, whatever its tokenizer.

The negative log-likelihood of a document's tokens in bits, divided by the UTF-8 bytes of its
text (arXiv 2101.00027, section 3.1). Every token counts, the first one too: it is predicted from
the token that opens a document. A document longer than the model's context is read in windows
that advance by half a context, so that each token has seen half a context at least; a special
token written in a text is read as ordinary characters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tagarela_dagster.evals.documents import HeldOutDocument
from tagarela_dagster.evals.model import LoadedModel

LOGIT_VALUES = 32_000_000
"""Logits computed at once (128 MB in fp32)."""
DOCUMENTS_TOGETHER = 64
"""Documents whose windows are sorted by length and batched together."""


@dataclass(frozen=True)
class DocumentBits:
    """A document's score: ``bits`` over ``bytes`` of text."""

    id: str
    source: str | None
    variety: str | None
    tokens: int
    bytes: int
    bits: float


@dataclass(frozen=True)
class _Window:
    """Tokens to read, of which those from ``first`` on are scored."""

    document: int
    tokens: list[int]
    first: int


def score_documents(
    loaded: LoadedModel, documents: Iterable[HeldOutDocument]
) -> Iterator[DocumentBits]:
    """Score documents one by one, in their order."""
    rest = iter(documents)
    while group := list(islice(rest, DOCUMENTS_TOGETHER)):
        ids = [
            loaded.tokenizer(d.text, add_special_tokens=False, split_special_tokens=True)[
                "input_ids"
            ]
            for d in group
        ]
        windows = [w for i, tokens in enumerate(ids) for w in _windows(i, tokens, loaded)]
        nats = [0.0] * len(group)
        for batch in _batches(windows, len(loaded.tokenizer)):
            for window, value in zip(batch, _negative_log_likelihoods(loaded, batch), strict=True):
                nats[window.document] += value
        for document, tokens, value in zip(group, ids, nats, strict=True):
            yield DocumentBits(
                id=document.id,
                source=document.source,
                variety=document.variety,
                tokens=len(tokens),
                bytes=len(document.text.encode()),
                bits=value / math.log(2),
            )


def _windows(document: int, ids: list[int], loaded: LoadedModel) -> Iterator[_Window]:
    tokens = [loaded.prefix, *ids]
    stride = max(1, loaded.context // 2)
    scored, start = 1, 0
    while scored < len(tokens):
        end = min(start + loaded.context, len(tokens))
        yield _Window(document, tokens[start:end], scored - start)
        scored, start = end, start + stride


def _batches(windows: list[_Window], vocabulary: int) -> Iterator[list[_Window]]:
    ordered = sorted(windows, key=lambda w: -len(w.tokens))
    batch: list[_Window] = []
    for window in ordered:
        if batch and (len(batch) + 1) * len(batch[0].tokens) * vocabulary > LOGIT_VALUES:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _negative_log_likelihoods(loaded: LoadedModel, batch: Sequence[_Window]) -> list[float]:
    """Sum over the scored tokens of each window, in nats."""
    import torch

    width = max(len(window.tokens) for window in batch)
    # Padding stands right of the text, where a causal model does not look from it.
    tokens = torch.full((len(batch), width), loaded.prefix, dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, window in enumerate(batch):
        tokens[row, : len(window.tokens)] = torch.tensor(window.tokens)
        mask[row, : len(window.tokens)] = 1
    device = loaded.model.device
    with torch.inference_mode():
        logits = loaded.model(
            input_ids=tokens.to(device), attention_mask=mask.to(device), use_cache=False
        ).logits
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1),
            tokens[:, 1:].to(device).flatten(),
            reduction="none",
        ).view(len(batch), width - 1)
    # The loss at i is that of token i + 1; sums in double, so that their order is no matter.
    values = losses.double().cpu()
    return [
        float(values[row, window.first - 1 : len(window.tokens) - 1].sum())
        for row, window in enumerate(batch)
    ]
