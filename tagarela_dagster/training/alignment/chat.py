"""Chat: a fine-tuned model answers, piece by piece.

Sampling is seeded: the same model, messages and seed give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

Message = dict[str, str]
UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a character decodes to while some of its bytes are still to come."""


class ChatError(ValueError):
    """A model cannot be talked to; the message says why and what to do."""


def reply(
    model: Path,
    messages: Sequence[Message],
    *,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> Iterator[str]:
    """Answer to ``messages``, as pieces of text while they are made.

    When the conversation is longer than the model's context, its oldest turns are left out.

    Args:
        model: folder in Hugging Face layout, with a chat template in its tokenizer.
        messages: ``{"role": …, "content": …}``, the user's last.
        max_new_tokens: tokens of the answer at most.
        temperature: 0 takes the likeliest token each time.
        top_p: nucleus sampling (arXiv 1904.09751).

    Raises:
        ChatError: the folder is no model that can chat, or the question alone is too long.
    """
    import torch

    network, tokenizer = _load(Path(model))
    context = network.config.max_position_embeddings
    new_tokens = min(max_new_tokens, context // 2)
    ids = torch.tensor([_prompt(tokenizer, list(messages), context - new_tokens)])
    generator = torch.Generator().manual_seed(seed)
    cache: Any = None
    answer: list[int] = []
    said = ""
    for _ in range(new_tokens):
        with torch.inference_mode():
            output = network(input_ids=ids, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        token = _sample(output.logits[0, -1].float(), temperature, top_p, generator)
        if token == tokenizer.eos_token_id:
            break
        answer.append(token)
        ids = torch.tensor([[token]])
        text = tokenizer.decode(answer, skip_special_tokens=True)
        if len(text) > len(said) and not text.endswith(UNFINISHED):
            yield text[len(said) :]
            said = text
    text = tokenizer.decode(answer, skip_special_tokens=True)
    if text[len(said) :]:
        yield text[len(said) :]


@lru_cache(maxsize=1)
def _load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    if not (folder / "config.json").is_file():
        raise ChatError(f"{folder} is no model folder: it holds no config.json")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.chat_template:
        raise ChatError(
            f"{folder} has no chat template: a model that was only pretrained cannot chat; take "
            "that of a fine-tuned stage (kind: sft)"
        )
    logging.disable_progress_bar()
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return network.eval(), tokenizer


def _prompt(tokenizer: Any, messages: list[Message], longest: int) -> list[int]:
    system = messages[:1] if messages and messages[0]["role"] == "system" else []
    turns = messages[len(system) :]
    while True:
        ids = tokenizer.apply_chat_template(
            [*system, *turns], tokenize=True, return_dict=False, add_generation_prompt=True
        )
        if len(ids) <= longest:
            return ids
        if len(turns) < 3:
            raise ChatError(f"the question has {len(ids)} tokens, the model takes {longest}")
        turns = turns[2:]


def _sample(logits: Any, temperature: float, top_p: float, generator: Any) -> int:
    import torch

    if temperature == 0:
        return int(logits.argmax())
    shares, order = torch.softmax(logits / temperature, -1).sort(descending=True)
    # The smallest set of tokens that holds top_p, at least one.
    shares[shares.cumsum(-1) - shares >= top_p] = 0
    return int(order[torch.multinomial(shares, 1, generator=generator)])
