"""Chat templates: how a conversation becomes tokens.

Ours, ``tagarela``, has a token for each role:

    <|fim|><|sistema|>…<|fim|><|usuario|>…<|fim|><|assistente|>…<|fim|>

``<|fim|>`` opens the text as it opens every document in pretraining, and ends each turn. The others
are those of models that this project learns from, and need no token that a base does not have.
Each marks what the assistant says, its end token included, in a ``generation`` block: in
fine-tuning the loss is taken on that alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.tokens.tokenizer import ASSISTANT, EOS, SPECIAL_TOKENS, SYSTEM, USER

ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
"""Role of a message -> token that opens its turn in our template."""

_TURNS = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'system' -%}SYSTEM"
    "{%- elif message.role == 'user' -%}USER"
    "{%- elif message.role == 'assistant' -%}OPEN{%- generation -%}ANSWER{%- endgeneration -%}"
    "{%- else -%}"
    "{{- raise_exception('a role is system, user or assistant, not ' ~ message.role) -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
_TEXT = "message.content | trim"


def _template(system: str, user: str, answer: str, start: str = "", opened: str = "") -> str:
    """Jinja text of a format.

    Args:
        opened: what stands before each answer, and at the end when one is asked for.
    """
    turns = _TURNS
    for part, text in {"SYSTEM": system, "USER": user, "OPEN": opened, "ANSWER": answer}.items():
        turns = turns.replace(part, text)
    asked = f"{{%- if add_generation_prompt -%}}{opened}{{%- endif -%}}" if opened else ""
    return start + turns + asked


TEMPLATE = _template(
    start=EOS,
    system=f"{SYSTEM}{{{{- {_TEXT} -}}}}{EOS}",
    user=f"{USER}{{{{- {_TEXT} -}}}}{EOS}",
    answer=f"{{{{- {_TEXT} -}}}}{EOS}",
    opened=ASSISTANT,
)
# The system message stands inside the first instruction (meta-llama/llama, llama/generation.py,
# chat_completion); LLaMAntino's chat models keep this format.
LLAMA2 = _template(
    start="{%- set rule = namespace(text='') -%}",
    system="{%- set rule.text = '<<SYS>>\\n' ~ (" + _TEXT + ") ~ '\\n<</SYS>>\\n\\n' -%}",
    user="{{- bos_token ~ '[INST] ' ~ rule.text ~ (" + _TEXT + ") ~ ' [/INST]' -}}"
    "{%- set rule.text = '' -%}",
    answer="{{- ' ' ~ (" + _TEXT + ") ~ ' ' ~ eos_token -}}",
)
# tatsu-lab/stanford_alpaca, train.py, in Portuguese, as LLaMAntino's instruct models have it in
# Italian; a system message stands in the place of the preamble.
ALPACA = _template(
    start="{{- bos_token -}}"
    "{%- if messages[0].role != 'system' -%}"
    "{{- 'Abaixo está uma instrução que descreve uma tarefa. Escreva uma resposta que conclua "
    "adequadamente o pedido.' -}}{%- endif -%}",
    system="{{- " + _TEXT + " -}}",
    user="{{- '\\n\\n### Instrução:\\n' ~ (" + _TEXT + ") ~ '\\n\\n### Resposta:\\n' -}}",
    answer="{{- (" + _TEXT + ") ~ eos_token -}}",
)
# galatolofederico/cerbero-7b, README.md, in Portuguese.
CERBERO = _template(
    start="{{- bos_token -}}"
    "{%- if messages[0].role != 'system' -%}"
    "{{- 'Esta é uma conversa entre um humano e um assistente de IA.' -}}{%- endif -%}",
    system="{{- " + _TEXT + " -}}",
    user="{{- '\\n[|Humano|] ' ~ (" + _TEXT + ") ~ '\\n[|Assistente|]' -}}",
    answer="{{- ' ' ~ (" + _TEXT + ") ~ eos_token -}}",
)


@dataclass(frozen=True)
class ChatTemplate:
    """A format of conversations.

    Attributes:
        text: Jinja template with ``generation`` blocks.
        roles: tokens that open turns; a tokenizer without them gets them.
        marks: what ends or opens a turn, and so must not stand in a message.
    """

    text: str
    roles: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


OURS = ChatTemplate(TEMPLATE, tuple(ROLES.values()), SPECIAL_TOKENS)
TEMPLATES = {
    "tagarela": OURS,
    "llama2": ChatTemplate(LLAMA2, marks=("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")),
    "alpaca": ChatTemplate(ALPACA, marks=("### Instrução:", "### Resposta:")),
    "cerbero": ChatTemplate(CERBERO, marks=("[|Humano|]", "[|Assistente|]")),
}


def choose_template(name: str, tokenizer: Any) -> ChatTemplate:
    """The template ``name`` for a tokenizer.

    ``own`` is the one that the tokenizer has. ``auto`` is that if there is one, else ours where
    the tokenizer has its tokens, else ``cerbero``, which needs none.

    Raises:
        TrainingError: the tokenizer has no template, or one that does not say what is the
            assistant's and that TRL has no training form of.
    """
    vocabulary = tokenizer.get_vocab()
    if name == "auto":
        ours = all(token in vocabulary for token in OURS.roles)
        name = "own" if tokenizer.chat_template else "tagarela" if ours else "cerbero"
    special = tuple(tokenizer.all_special_tokens)
    if name != "own":
        found = TEMPLATES[name]
        return ChatTemplate(found.text, found.roles, tuple({*found.marks, *special}))
    if not tokenizer.chat_template:
        raise TrainingError(
            "the parent's tokenizer has no chat template: choose one (template: "
            f"{', '.join(TEMPLATES)})"
        )
    for known in TEMPLATES.values():
        if known.text == tokenizer.chat_template:
            return ChatTemplate(known.text, known.roles, tuple({*known.marks, *special}))
    return ChatTemplate(_with_generation(tokenizer), (), special)


def _with_generation(tokenizer: Any) -> str:
    """The tokenizer's own template, with ``generation`` blocks."""
    from trl.chat_template_utils import get_training_chat_template

    if "{% generation" in tokenizer.chat_template or "{%- generation" in tokenizer.chat_template:
        return str(tokenizer.chat_template)
    try:
        return str(get_training_chat_template(tokenizer))
    except ValueError as error:
        raise TrainingError(
            "the parent's chat template does not mark what the assistant says, and TRL knows no "
            f"training form of it: choose another (template: {', '.join(TEMPLATES)})"
        ) from error


def encode(
    tokenizer: Any, messages: list[dict[str, str]], template: str
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and its labels: the same where the assistant speaks, else -100.

    Args:
        template: Jinja text with ``generation`` blocks.
    """
    encoded = tokenizer.apply_chat_template(
        messages,
        chat_template=template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids = encoded["input_ids"]
    mask = encoded["assistant_masks"]
    return ids, [token if said else -100 for token, said in zip(ids, mask, strict=True)]
