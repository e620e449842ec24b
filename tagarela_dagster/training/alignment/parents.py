"""The model that a tuning starts from, and the model that it leaves.

The role tokens of our chat template stand in no pretraining text, so their embeddings are what
they were drawn as, and LoRA leaves embeddings alone. So their rows are trained beside the adapter
(peft's ``trainable_token_indices``), from the mean of the pieces of the word that names the role.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Tuned
from tagarela_dagster.training.adaptation.lora import load_parent, lora_config, save_adapter
from tagarela_dagster.training.adaptation.merge import merge_adapter
from tagarela_dagster.training.adaptation.probe import probe_ids
from tagarela_dagster.training.alignment.chat_template import (
    ROLES,
    ChatTemplate,
    choose_template,
    encode,
)
from tagarela_dagster.training.alignment.tuning import attention, on_first, ranks
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import load_tokenizer, model_context

if TYPE_CHECKING:
    import torch

    from tagarela_dagster.training.stage import StageRun

logger = logging.getLogger(__name__)
MODEL, ADAPTER = "model", "adapter"
ROLE_WORDS = {"system": "sistema", "user": "utilizador", "assistant": "assistente"}


@dataclass(frozen=True)
class Parent:
    """A parent's model folder, its tokenizer, and how conversations are written for it.

    Attributes:
        max_tokens: longest sequence: what the recipe asks for, or the context if that is less.
        new_tokens: role tokens that the folder's tokenizer did not have.
        fresh: whether the role tokens' embeddings have never been trained.
    """

    folder: Path
    tokenizer: Any
    template: ChatTemplate
    max_tokens: int
    new_tokens: tuple[str, ...] = ()
    fresh: bool = False

    def count_tokens(self, messages: list[dict[str, str]]) -> int:
        """Tokens of a conversation."""
        return len(encode(self.tokenizer, messages, self.template.text)[0])

    @property
    def role_ids(self) -> dict[str, int]:
        """Role -> id of its token; empty where the template has none."""
        tokens = {role: token for role, token in ROLES.items() if token in self.template.roles}
        return {role: self.tokenizer.convert_tokens_to_ids(t) for role, t in tokens.items()}


def open_parent(run: StageRun, template: str = "own") -> Parent:
    """The model that a stage starts from.

    Raises:
        TrainingError: there is none, or no chat template.
    """
    section: Tuned = run.section
    folder = run.input(section.parent) / MODEL
    if not (folder / "config.json").is_file():
        raise TrainingError(f"{section.parent}: {folder} holds no model")
    tokenizer: Any = load_tokenizer(folder)
    fresh = not tokenizer.chat_template
    chosen = choose_template(template, tokenizer)
    new = tuple(token for token in chosen.roles if token not in tokenizer.get_vocab())
    if new:
        logger.info("the tokenizer gets %s, and the model rows for them", ", ".join(new))
        tokenizer.add_special_tokens({"additional_special_tokens": list(new)})
    if fresh or template not in ("own", "auto"):
        tokenizer.chat_template = chosen.text
    if tokenizer.pad_token is None:
        # Never trained on nor attended to: labels of padding are left out, and it is masked.
        tokenizer.pad_token = tokenizer.eos_token
    max_tokens = min(section.max_length, model_context(folder))
    return Parent(folder, tokenizer, chosen, max_tokens, new, fresh)


def with_new_tokens(parent: Parent, work: Path) -> Parent:
    """The parent with rows for its new tokens, as a folder of its own; itself if there are none.
    Every rank calls this."""
    if not parent.new_tokens:
        return parent
    folder = work / "resized"

    def write() -> None:
        import torch
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(parent.folder, use_safetensors=True)
        torch.manual_seed(0)
        model.resize_token_embeddings(len(parent.tokenizer), mean_resizing=True)
        model.save_pretrained(folder)
        parent.tokenizer.save_pretrained(folder)

    on_first(write)
    return Parent(
        folder, parent.tokenizer, parent.template, parent.max_tokens, parent.new_tokens, True
    )


def load_for_tuning(run: StageRun, parent: Parent) -> Any:
    """The parent's model, with adapter and trained role tokens where the method is lora or qlora.

    It is loaded whole on every rank before DeepSpeed divides it.
    """
    import torch
    from peft import get_peft_model

    section: Tuned = run.section
    full = section.method == "full"
    model = load_parent(
        parent.folder,
        section.method,
        section.precision,
        section.lora,
        train=full,
        zero_stage=section.zero_stage,
        attention=attention(section, parent.folder),
        seed=run.recipe.seed,
    )
    ids = parent.role_ids
    if full:
        if parent.fresh and ids:
            rows = _starts(model.get_input_embeddings().weight, parent)
            with torch.no_grad():
                model.get_input_embeddings().weight[list(ids.values())] = rows
        return model
    config = lora_config(section.lora)
    if ids:
        config.trainable_token_indices = list(ids.values())
    starts = _starts(model.get_input_embeddings().weight, parent) if parent.fresh and ids else None
    torch.manual_seed(run.recipe.seed)
    adapted: Any = get_peft_model(model, config)
    head = adapted.get_output_embeddings()
    if section.zero_stage == 3 and hasattr(head, "token_adapter"):
        # TRL gathers the head's own weight, which peft's tied head has not.
        logger.info(
            "under ZeRO stage 3 the tied head takes the role tokens' untrained rows: this "
            "touches the probability of three tokens that are never predicted"
        )
        adapted.get_base_model().set_output_embeddings(head.token_adapter.base_layer)
    elif not hasattr(head, "bias"):
        # Tied to embeddings whose rows are trained, peft's head has a weight but no bias to ask
        # for, which TRL's fused loss does (trl 1.16, trainer/utils.py, _fused_forward).
        head.bias = None
    if starts is not None:
        found = [p for n, p in adapted.named_parameters() if "trainable_tokens_delta" in n]
        with torch.no_grad():
            found[0].copy_(starts)
    return adapted.train()


def publish_model(
    run: StageRun, parent: Parent, model: Any, work: Path
) -> tuple[dict[str, str], dict[str, Any]]:
    """Write what was trained below the run folder; every rank calls this.

    Returns:
        Folders by name, relative to the run folder, and numbers of the merge.

    Raises:
        TrainingError: adapter and merged model are not the same function.
    """
    section: Tuned = run.section
    weights = gathered(model)
    if ranks()[0]:
        return {}, {}
    out = run.out / MODEL
    if section.method == "full":
        model.save_pretrained(out, state_dict=weights)
        parent.tokenizer.save_pretrained(out)
        return {MODEL: MODEL}, {}
    adapter = run.out / ADAPTER
    how: dict[str, Any] = {"method": section.method, "precision": section.precision}
    save_adapter(model, adapter, lora=section.lora, weights=weights, **how)
    parent.tokenizer.save_pretrained(adapter)
    probe = probe_ids(parent.tokenizer, parent.max_tokens)
    # The role tokens are part of what is compared.
    probe = [*parent.role_ids.values(), *probe][: parent.max_tokens]
    report = merge_adapter(
        parent.folder, adapter, out, parent.tokenizer, probe, onto=section.lora.merge_onto
    )
    if parent.new_tokens:
        logger.info("the adapter is not published: the parent has no rows for its new tokens")
        return {MODEL: MODEL}, report.as_json()
    return {ADAPTER: ADAPTER, MODEL: MODEL}, report.as_json()


def gathered(model: Any) -> dict[str, torch.Tensor]:
    """Trained parameters of ``model`` on the CPU, by name, on rank 0; every rank calls this.

    Under ZeRO-3 each is gathered in turn, so no rank but 0 holds them all.
    """
    import deepspeed

    first = ranks()[0] == 0
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        with deepspeed.zero.GatheredParameters([parameter], enabled=hasattr(parameter, "ds_id")):
            if first:
                weights[name] = parameter.detach().to("cpu", copy=True)
    return weights


def _starts(embeddings: torch.Tensor, parent: Parent) -> torch.Tensor:
    """First embeddings of the role tokens, (roles, hidden): means over the pieces of their names'
    words. Random ones would say nothing, and equal ones the same of all roles."""
    import torch

    pieces = [
        parent.tokenizer(f" {ROLE_WORDS[role]}", add_special_tokens=False)["input_ids"]
        for role in parent.role_ids
    ]
    return torch.stack([embeddings[ids].detach().mean(0) for ids in pieces])
