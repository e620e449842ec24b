"""A base that is made here: random weights, and a tokenizer that knows English alone.

It stands in for a model like Llama-2 where there is no hub and no time (``--scale tiny``): the
same files, a beginning and an end token of its own, no padding token, and many tokens for a
Portuguese word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.recipe.shape import Model

BOS, EOS = "<s>", "</s>"
VOCABULARY = 768
ENGLISH = (
    "The river runs slowly past the town, and the children play on the bank until evening.",
    "She bought bread at the bakery on the corner and walked home before the rain began.",
    "The fishermen leave before dawn, when the sea is still dark and there is little wind.",
    "Nobody in the village had ever seen a letter with so many stamps on it.",
    "The committee will meet again next Thursday to discuss the budget for the new school.",
    "He opened the window, looked at the mountains, and thought about the long journey ahead.",
    "Most of the houses along the harbour were built by people who worked in the shipyard.",
    "If the train is late, we shall have to wait for the bus that leaves at half past seven.",
    "The report says that the number of visitors has grown every year since the bridge opened.",
    "They sat around the table and told stories which their grandmother had told them.",
    "A good teacher knows when to speak and when to let the students find their own way.",
    "The government announced that the law would come into force at the beginning of the year.",
    "It was the kind of morning when everything seems possible, even the things that are not.",
    "Scientists who studied the birds found that they return to the same trees each spring.",
    "The old library keeps more than twelve thousand books, and some of them are very rare.",
    "We should have called them earlier, but the telephone at the hotel was out of order.",
    "The company has been making wooden furniture for over a hundred years in the same street.",
    "There was something strange about the way he answered the simplest of questions.",
    "Water that has been boiled and then cooled is what the recipe asks for in the first step.",
    "Although the team played well in the second half, they could not change the result.",
)


def make_model(section: Model, seed: int, out: Path) -> None:
    """Write a model folder in Hugging Face layout; the same seed gives the same bytes."""
    import torch
    from transformers import AutoTokenizer

    from tagarela_dagster.training.models.model import build_model

    out.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    model: Any = build_model(section, tokenizer, seed)
    model.to(torch.bfloat16)
    model.save_pretrained(out)


def _write_tokenizer(out: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    encoder = Tokenizer(models.BPE())
    encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    encoder.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    encoder.train_from_iterator(ENGLISH, trainer)
    encoder.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (BOS, EOS)])
    with atomic_write(out / "tokenizer.json") as file:
        file.write(encoder.to_str(pretty=True))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "clean_up_tokenization_spaces": False,
    }
    with atomic_write(out / "tokenizer_config.json") as file:
        json.dump(settings, file, indent=1, sort_keys=True)
