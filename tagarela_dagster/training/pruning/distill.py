"""Kind ``distill``: a student learns a larger model's next-token distributions beside the text.

Pretraining (pretraining/pretrain.py) with another loss: the teacher sees the same packed sequences
as the student, and each token's loss is mixed from the text and from the divergence from the
teacher (divergence.py). Every rank holds the whole teacher, frozen; only the student is divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagarela_dagster.training.launching.failure import TrainingError
from tagarela_dagster.training.pretraining import pretrain
from tagarela_dagster.training.pretraining.data import Batch
from tagarela_dagster.training.pretraining.losses import NextToken, attention_of
from tagarela_dagster.training.pruning.divergence import distilled
from tagarela_dagster.training.tracking.metrics import read_metrics

if TYPE_CHECKING:
    import torch

    from tagarela_dagster.training.stage import StageRun


def train(run: StageRun) -> dict[str, Any]:
    """Train this rank's part; rank 0's answer is the result."""
    section = run.section

    def loss(engine: Any) -> TeacherLoss:
        teacher = load_teacher(run).to(engine.device)
        weights = (section.weight, section.temperature, section.z_loss)
        return TeacherLoss(engine.module, teacher, *weights)

    result = pretrain.train(run, loss)
    if not result:
        return {}
    rows = read_metrics(run.out)
    divergences = {"first": rows[0]["divergence"], "last": rows[-1]["divergence"]}
    return {**result, **{f"divergence_{when}": value for when, value in divergences.items()}}


def load_teacher(run: StageRun) -> Any:
    """The teacher, frozen, in evaluation mode.

    Raises:
        TrainingError: it has another vocabulary than the tokenizer of the mixture.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    from tagarela_dagster.training.adaptation.lora import torch_dtype
    from tagarela_dagster.training.checkpointing.checkpoints import MODEL
    from tagarela_dagster.training.models.model import choose_attention, load_tokenizer

    section = run.section
    folder = run.input(section.teacher) / MODEL
    own, theirs = load_tokenizer(run.input("tokenizer")), load_tokenizer(folder)
    if own.get_vocab() != theirs.get_vocab():
        raise TrainingError(
            f"the teacher {section.teacher} has a vocabulary of {len(theirs)} tokens that is not "
            f"the mixture's of {len(own)}: its distributions are over other tokens. Choose a "
            "teacher that was trained with this tokenizer, or transplant it (a stage of kind "
            "surgery)"
        )
    config = AutoConfig.from_pretrained(folder)
    teacher = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch_dtype(section.teacher_precision),
        attn_implementation=choose_attention(config, section.attention),
    )
    return teacher.requires_grad_(False).eval()


class TeacherLoss(NextToken):
    """The loss of a student (losses.py says what a loss is).

    Args:
        model: the student; teacher: on the same device.
        share: of the divergence in the objective.
    """

    def __init__(
        self,
        model: Any,
        teacher: Any,
        share: float,
        temperature: float = 1.0,
        z_loss: float = 0.0,
    ) -> None:
        super().__init__(model, z_loss)
        self.teacher = teacher
        self.teacher_head = teacher.get_output_embeddings()
        rows, taught = (_rows(head) for head in (self.head, self.teacher_head))
        if rows != taught:
            raise TrainingError(
                f"the student predicts {rows} tokens and the teacher {taught}: give both models "
                "embeddings of the same size"
            )
        self.share, self.temperature = share, temperature
        self._taught: torch.Tensor | None = None
        self._sums: torch.Tensor | None = None

    def __call__(self, engine: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Objective and sums of a batch that lies on the engine's device."""
        import torch

        tokens, positions = batch.tokens, batch.positions
        if attention_of(self.teacher) == "flash_attention_2":
            tokens, positions = tokens.reshape(1, -1), positions.reshape(1, -1)
        with torch.no_grad():
            body = self.teacher.base_model
            found = body(input_ids=tokens, position_ids=positions, use_cache=False)
        self._taught = found.last_hidden_state.flatten(0, -2)
        objective, _ = super().__call__(engine, batch)
        assert self._sums is not None
        (ce, divergence), self._sums = self._sums, None
        return objective, {"loss": ce, "divergence": divergence}

    def _forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if self._targets is None or self._taught is None:
            return self._logits(hidden)
        targets, self._targets = self._targets, None
        taught, self._taught = self._taught, None
        # The last token of a sequence predicts nothing, for the teacher neither (IGNORED).
        objective, self._sums = distilled(
            hidden.flatten(0, -2),
            self.head.weight,
            self.head.bias,
            targets,
            taught,
            self.teacher_head,
            share=self.share,
            temperature=self.temperature,
            z_loss=self.z_loss,
        )
        self._ce = self._sums[0]
        return objective


def _rows(head: Any) -> int:
    return getattr(head.weight, "ds_shape", head.weight.shape)[0]
