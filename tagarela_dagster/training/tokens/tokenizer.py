"""Tokenizer: byte-level BPE (or unigram over bytes) trained on the clean corpus.

Every byte is a token of its own at the least, so any text is encoded without an unknown token and
decoded to exactly the same text. The result is written in Hugging Face's layout and loads with
``transformers.AutoTokenizer``; this module does not need transformers.

Special tokens are matched inside raw text by default, which chat templates rely on. Corpus text
must never be able to produce them: ``open_tokenizer`` returns an encoder that treats a literal
``<|fim|>`` in a document as ordinary characters (in transformers: ``split_special_tokens=True``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Encoder

from tagarela_dagster.corpus.stage import split_partition
from tagarela_dagster.provenance.files import atomic_write
from tagarela_dagster.provenance.fingerprint import hash_file
from tagarela_dagster.provenance.lake import PartitionWriter
from tagarela_dagster.provenance.manifest import Manifest, Shard
from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens.tokenizer_text import TrainingText
from tagarela_dagster.training.tokens.unigram import train_unigram

EOS = "<|fim|>"
"""End of a document, separator between documents, end of a chat turn."""
PAD = "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|sistema|>", "<|usuario|>", "<|assistente|>"
SPECIAL_TOKENS = (EOS, PAD, SYSTEM, USER, ASSISTANT)
"""In the order of their ids, from 0."""

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"

SPLIT = (
    r"[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)
"""How text is cut before merging: the pattern of cl100k (openai/tiktoken, openai_public.py)
without the English contractions, with combining marks as part of their word (decomposed accents),
and with single digits, as Llama has (arXiv 2302.13971, section 2.1), so that a small vocabulary
is not spent on numbers. A hyphen opens its word, so the pronoun of ``disse-lhe`` is one token."""


@dataclass(frozen=True)
class TokenizerReport:
    """What was trained: sizes, and the hash of ``tokenizer.json``."""

    kind: str
    vocabulary: int
    """Tokens in all, special ones included; fewer than asked for when the text is too small."""
    training_documents: int
    training_bytes: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """JSON form, for a manifest's counts."""
        return asdict(self)


class _Counted:
    """Texts on their way to a trainer, counted."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = texts
        self.documents = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        self.documents = self.bytes = 0
        for text in self.texts:
            self.documents += 1
            self.bytes += len(text.encode())
            yield text


def train_tokenizer(texts: Iterable[str], section: Tokenizer, out: Path) -> TokenizerReport:
    """Train on ``texts`` and write ``tokenizer.json`` and ``tokenizer_config.json`` to ``out``.

    The same texts and section give the same bytes, for any number of threads.

    Args:
        texts: training text (see tokenizer_text.py); unigram goes over it twice, so an iterator
            is not enough there.

    Raises:
        ValueError: there is no text, unigram was given an iterator, or the kind is one that is
            not trained (base_tokenizer.py publishes it).
    """
    if section.kind == "base":
        raise ValueError("tokenizer.kind base is not trained: it is published from training.base")
    counted = _Counted(texts)
    if section.kind == "bpe":
        encoder = _train_bpe(counted, section.vocabulary, section.min_frequency)
    else:
        if iter(texts) is texts:
            raise ValueError("unigram reads its training text twice: pass a list, not an iterator")
        candidates = _train_bpe(counted, 2 * section.vocabulary, section.min_frequency)
        model = train_unigram(
            counted, candidates, section.vocabulary, keep=_alphabet(), special=SPECIAL_TOKENS
        )
        encoder = _empty(model)
    if counted.bytes == 0:
        raise ValueError("there is no text to train a tokenizer on: check the stages before it")
    encoder.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS]
    )
    with atomic_write(out / TOKENIZER_FILE) as file:
        file.write(encoder.to_str(pretty=True))
    with atomic_write(out / CONFIG_FILE) as file:
        json.dump(_config(), file, ensure_ascii=False, indent=1, sort_keys=True)
    return TokenizerReport(
        kind=section.kind,
        vocabulary=encoder.get_vocab_size(),
        training_documents=counted.documents,
        training_bytes=counted.bytes,
        sha256=hash_file(out / TOKENIZER_FILE),
    )


def train_on_partitions(
    writer: PartitionWriter,
    shards: Mapping[str, Sequence[Path]],
    section: Tokenizer,
    *,
    held_out_share: float,
    seed: int,
) -> Manifest:
    """Train on the clean corpus and publish the tokenizer.

    Args:
        shards: partition key ``source@snapshot`` -> its clean document shards.
        held_out_share, seed: which documents are held out, and so never seen.
    """
    by_source: dict[str, list[Path]] = {}
    for partition in sorted(shards):
        by_source.setdefault(split_partition(partition)[0], []).extend(shards[partition])
    limit = section.max_training_megabytes * 1_000_000
    text = TrainingText(by_source, limit, held_out_share=held_out_share, seed=seed)
    report = train_tokenizer(text, section, writer.data)
    files = [Shard.of(writer.data, name, 0) for name in (TOKENIZER_FILE, CONFIG_FILE)]
    return writer.publish(files, report.as_json())


def open_tokenizer(folder: Path) -> Encoder:
    """Encoder for corpus text: a special token written in a text stays ordinary characters.

    Raises:
        FileNotFoundError: ``folder`` holds no ``tokenizer.json``.
    """
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {TOKENIZER_FILE}: materialize the tokenizer")
    encoder = Encoder.from_file(str(path))
    encoder.encode_special_tokens = True
    return encoder


def token_id(encoder: Encoder, token: str) -> int:
    """Id of a token. Raises ValueError when the vocabulary lacks it."""
    found = encoder.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no token {token}: it was not made by this project")
    return found


def splits_by_our_pattern(encoder: Encoder) -> bool:
    """Whether text is cut by SPLIT, and left as it is before that; a base's tokenizer may do
    otherwise (a space put before the text, normalised characters)."""
    settings = json.loads(encoder.to_str())
    parts = (settings["pre_tokenizer"] or {}).get("pretokenizers", [])
    first = parts[0].get("pattern") if parts else None
    return settings["normalizer"] is None and first == {"Regex": SPLIT}


def end_token(folder: Path) -> str:
    """The token that ends a document: EOS, or what the base's tokenizer has for it.

    Raises:
        ValueError: its configuration names none.
    """
    settings = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    token = settings.get("eos_token")
    if isinstance(token, dict):  # an AddedToken, as transformers 4 wrote it
        token = token.get("content")
    if not token:
        raise ValueError(f"{folder / CONFIG_FILE} names no eos_token, which ends a document")
    return token


def _alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _empty(model: models.Model) -> Encoder:
    encoder = Encoder(model)
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    encoder.decoder = decoders.ByteLevel()
    return encoder


def _train_bpe(texts: Iterable[str], vocabulary: int, min_frequency: int) -> Encoder:
    encoder = _empty(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=_alphabet(),
        show_progress=False,
    )
    encoder.train_from_iterator(texts, trainer)
    return encoder


def _config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": EOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "additional_special_tokens": [SYSTEM, USER, ASSISTANT],
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
    }
