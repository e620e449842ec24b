"""Reward model: one number for a conversation, trained on pairs (arXiv 2203.02155, section 3.5).

The parent's head gives way to one of a single output, at the last token. The model is published as
``model/``, a Hugging Face sequence classifier; it can be a reward of a grpo stage
(``model:STAGE``). Its accuracy is measured on held-out pairs, before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagarela_dagster.recipe.alignment import Reward
from tagarela_dagster.training.adaptation.lora import local_device, lora_config, save_adapter
from tagarela_dagster.training.adaptation.quantised import torch_dtype
from tagarela_dagster.training.alignment.chat_template import encode
from tagarela_dagster.training.alignment.parents import (
    ADAPTER,
    MODEL,
    Parent,
    gathered,
    open_parent,
)
from tagarela_dagster.training.alignment.preference import (
    prepare_pairs,
    read_held_out,
    read_train,
)
from tagarela_dagster.training.alignment.rows import Message
from tagarela_dagster.training.alignment.tuning import (
    arguments,
    attention,
    fit,
    in_order,
    on_first,
    ranks,
    start_work,
    steps_of,
)
from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.models.model import load_tokenizer

if TYPE_CHECKING:
    from peft import LoraConfig

    from tagarela_dagster.training.stage import StageRun

MERGE_TOLERANCE = 1e-3
"""Largest difference of a score between the model with its adapter and the merged one, in fp32."""
HEAD = "score"
"""Name of the new head in transformers' sequence classifiers."""


def train(run: StageRun) -> dict[str, Any]:
    """Train; every rank calls this. Raises TrainingError."""
    section: Reward = run.section
    if section.method == "qlora":
        raise TrainingError(
            "method qlora is not offered for a reward model, whose new head would have to be "
            "trained beside four-bit weights: take lora, or full"
        )
    work = start_work(run)
    parent = open_parent(run)
    counts: dict[str, Any] = {}
    on_first(lambda: counts.update(prepare_pairs(run, parent, work)))
    trainer, steps, rows = _build_trainer(run, parent, work)
    summary = fit(trainer, run)
    weights = gathered(trainer.model)
    if ranks()[0]:
        return {}
    folders, merge = _publish(run, parent, trainer.model, weights)
    held_out = read_held_out(work, most=1 << 30)
    scorer = Scorer(run.out / MODEL)
    scores = {
        name: scorer([[*row["prompt"], *row[name]] for row in held_out])
        for name in ("chosen", "rejected")
    }
    pairs = list(zip(scores["chosen"], scores["rejected"], strict=True))
    return {
        **summary,
        **counts,
        "held_out": len(held_out),
        "accuracy_held_out": round(sum(a > b for a, b in pairs) / len(pairs), 6),
        "margin_held_out": round(sum(a - b for a, b in pairs) / len(pairs), 6),
        "max_tokens": parent.max_tokens,
        "epochs": round(steps * section.step_sequences / rows, 3),
        **merge,
        "folders": folders,
    }


class Scorer:
    """A reward model that is asked for scores."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification

        if not (folder / "config.json").is_file():
            raise TrainingError(f"{folder} holds no reward model")
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True
        )
        if model.config.num_labels != 1:
            raise TrainingError(f"{folder} holds no reward model: it has several outputs")
        self.tokenizer: Any = load_tokenizer(folder)
        self.model = model.float().to(local_device()).eval()

    def __call__(self, conversations: Sequence[list[Message]]) -> list[float]:
        """Score of each conversation, any number; more is better."""
        import torch

        found = []
        for messages in conversations:
            ids, _ = encode(self.tokenizer, messages, self.tokenizer.chat_template)
            given = torch.tensor([ids[-self.model.config.max_position_embeddings :]])
            with torch.inference_mode():
                output = self.model(input_ids=given.to(self.model.device), use_cache=False)
            found.append(float(output.logits[0, 0]))
        return found


def _load(folder: Path, parent: Parent, section: Reward, seed: int, *, fp32: bool = False) -> Any:
    """The parent with a new head, which the seed draws."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=1,
        dtype=torch_dtype("fp32" if fp32 else section.precision),
        use_safetensors=True,
        attn_implementation=attention(section, parent.folder),
    )
    # The last token that is no padding is scored.
    model.config.pad_token_id = parent.tokenizer.pad_token_id
    model.config.use_cache = False
    return model


def _adapter_config(section: Reward) -> LoraConfig:
    config = lora_config(section.lora)
    config.task_type = "SEQ_CLS"
    config.modules_to_save = [HEAD]
    return config


def _build_trainer(run: StageRun, parent: Parent, work: Path) -> tuple[Any, int, int]:
    import torch
    from trl import RewardConfig, RewardTrainer

    section: Reward = run.section
    model = _load(parent.folder, parent, section, run.recipe.seed)
    on_first(lambda: read_train(work) and None)
    rows = read_train(work)
    steps = steps_of(section, len(rows))
    settings = RewardConfig(
        **arguments(run, work, steps),
        max_length=parent.max_tokens,
        train_sampling_strategy="sequential",
    )
    torch.manual_seed(run.recipe.seed)
    trainer = RewardTrainer(
        model=model,
        args=settings,
        train_dataset=in_order(rows, steps * section.step_sequences, run.recipe.seed),
        processing_class=parent.tokenizer,
        peft_config=None if section.method == "full" else _adapter_config(section),
    )
    return trainer, steps, len(rows)


def _publish(
    run: StageRun, parent: Parent, model: Any, weights: dict[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    import torch
    from peft import PeftModel

    section: Reward = run.section
    out = run.out / MODEL
    parent.tokenizer.save_pretrained(out)
    if section.method == "full":
        model.save_pretrained(out, state_dict=weights)
        return {MODEL: MODEL}, {}
    adapter = run.out / ADAPTER
    how: dict[str, Any] = {"method": section.method, "precision": section.precision}
    save_adapter(model, adapter, lora=section.lora, weights=weights, **how)
    base = _load(parent.folder, parent, section, run.recipe.seed, fp32=True)
    adapted: Any = PeftModel.from_pretrained(base, adapter).eval()
    ids, _ = encode(
        parent.tokenizer,
        [{"role": "user", "content": "Olá!"}, {"role": "assistant", "content": "Bom dia."}],
        parent.template.text,
    )
    given = torch.tensor([ids])
    with torch.inference_mode():
        before = adapted(input_ids=given, use_cache=False).logits
    merged = adapted.merge_and_unload()
    with torch.inference_mode():
        after = merged(input_ids=given, use_cache=False).logits
    difference = float((before - after).abs().max())
    if not difference <= MERGE_TOLERANCE:
        raise TrainingError(
            f"the merged reward model's score differs by {difference:.2g} from the adapter's "
            f"(allowed {MERGE_TOLERANCE:g}): the adapter in {adapter} is whole"
        )
    merged.save_pretrained(out)
    return {ADAPTER: ADAPTER, MODEL: MODEL}, {"merge_score_difference": difference}
