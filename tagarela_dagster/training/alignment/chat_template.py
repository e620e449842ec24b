"""Chat template: how a conversation becomes tokens.

    <|fim|><|sistema|>…<|fim|><|usuario|>…<|fim|><|assistente|>…<|fim|>

``<|fim|>`` opens the text as it opens every document in pretraining, and ends each turn. The
``generation`` block marks what the assistant says, its end token included: in fine-tuning the loss
is taken on that alone.
"""

from __future__ import annotations

from tagarela_dagster.training.tokens.tokenizer import ASSISTANT, EOS, SPECIAL_TOKENS, SYSTEM, USER

ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
"""Role of a message -> token that opens its turn."""

TEMPLATE = (
    f"{EOS}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'system' -%}"
    f"{SYSTEM}{{{{- message.content | trim -}}}}{EOS}"
    "{%- elif message.role == 'user' -%}"
    f"{USER}{{{{- message.content | trim -}}}}{EOS}"
    "{%- elif message.role == 'assistant' -%}"
    f"{ASSISTANT}{{%- generation -%}}{{{{- message.content | trim -}}}}{EOS}"
    "{%- endgeneration -%}"
    "{%- else -%}"
    "{{- raise_exception('a role is system, user or assistant, not ' ~ message.role) -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    f"{{%- if add_generation_prompt -%}}{ASSISTANT}{{%- endif -%}}"
)


def has_special_token(text: str) -> bool:
    """Whether a text writes out a special token, which would end or open a turn."""
    return any(token in text for token in SPECIAL_TOKENS)
