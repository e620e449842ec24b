from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagarela_dagster.recipe.tokens import Tokenizer
from tagarela_dagster.training.tokens import encoding
from tagarela_dagster.training.tokens.encoding import cut, encode_documents, token_dtype
from tagarela_dagster.training.tokens.tokenizer import (
    ASSISTANT,
    EOS,
    PAD,
    SPECIAL_TOKENS,
    SYSTEM,
    USER,
    open_tokenizer,
    token_id,
    train_tokenizer,
)

TEXTS = [
    "O eléctrico subiu a calçada devagar, e a senhora de luto disse-lhe que não tinha pressa.",
    "A menina comprou pão, leite e três ovos na padaria da esquina antes de ir à escola.",
    "Não há machado que corte a raiz ao pensamento, cantavam eles na praça, em 1969.",
    "O ônibus atrasou 25 minutos; o motorista pediu desculpas e abriu a porta de trás.",
    "Deu-se-lhe o prémio: 1234,56 €.\n\nEle agradeceu, e sentou-se.\n",
] * 4
TRICKY = [
    "",
    " ",
    "\x00",
    "  dois espaços à frente",
    "fim \t\r\n\r\n  \n",
    "e\u0301 a\u0303o decompostos, \u0301solto",
    "😀👩‍👩‍👧‍👦🇵🇹",
    "‽ᚠᚢ漢字 العربية",
    "1234567890 3,14 12.º",
    "\ufeffBOM, \u200bzero, \xa0rígido, \u2028linha",
    f"um {EOS} escrito, {PAD}{SYSTEM}{USER}{ASSISTANT}",
    "▁ Ġ Ċ <0x0A>",
]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp(request.param)
    train_tokenizer(TEXTS, Tokenizer(kind=request.param, vocabulary=400), out)
    return out


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_text_comes_back_exactly(folder: Path, text: str) -> None:
    encoder = open_tokenizer(folder)
    assert encoder.decode(encoder.encode(text).ids, skip_special_tokens=False) == text


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_comes_back_exactly(folder: Path, text: str) -> None:
    encoder = open_tokenizer(folder)
    assert encoder.decode(encoder.encode(text).ids, skip_special_tokens=False) == text


def test_transformers_gives_the_same_ids_and_the_same_text(folder: Path) -> None:
    from transformers import AutoTokenizer

    encoder, other = open_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS + TRICKY:
        ids = encoder.encode(text).ids
        assert other(text, split_special_tokens=True)["input_ids"] == ids
        assert other.decode(ids, clean_up_tokenization_spaces=False) == text
    assert other.eos_token == EOS
    assert other.pad_token == PAD
    assert len(other) == encoder.get_vocab_size()
    assert other.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3, 4]


def test_a_chat_template_still_gets_its_special_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(f"{USER}olá{EOS}")["input_ids"]
    assert (ids[0], ids[-1]) == (3, 0)


def test_a_special_token_written_in_corpus_text_is_ordinary_text(folder: Path) -> None:
    encoder = open_tokenizer(folder)
    ids = encoder.encode(" ".join(SPECIAL_TOKENS)).ids
    assert min(ids) >= len(SPECIAL_TOKENS)


def test_a_special_token_in_training_text_is_no_learned_piece(tmp_path: Path) -> None:
    texts = [f"palavra{EOS}palavra"] * 50
    train_tokenizer(texts, Tokenizer(vocabulary=400), tmp_path)
    encoder = open_tokenizer(tmp_path)
    assert min(encoder.encode(texts[0]).ids) >= len(SPECIAL_TOKENS)
    assert encoder.token_to_id(EOS) == 0


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_training_gives_the_same_bytes_in_another_process(kind: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from tests.training.tokens.test_tokenizer import TEXTS;"
        "from tagarela_dagster.training.tokens.tokenizer import train_tokenizer;"
        "from tagarela_dagster.recipe.tokens import Tokenizer;"
        f"train_tokenizer(TEXTS, Tokenizer(kind={kind!r}, vocabulary=400), Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[3]
    files = []
    for name, threads in (("one", "1"), ("two", "2")):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONPATH": str(root)}
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment
        )
        files.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert files[0] == files[1]


def test_the_report_counts_the_training_text(tmp_path: Path) -> None:
    report = train_tokenizer(["pão", "café"], Tokenizer(vocabulary=300), tmp_path)
    assert (report.training_documents, report.training_bytes) == (2, 9)
    assert report.vocabulary == 261  # 5 special tokens, 256 bytes, no pair seen twice


def test_no_text_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to train"):
        train_tokenizer(iter([]), Tokenizer(vocabulary=300), tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()


def test_unigram_refuses_text_that_can_be_read_once_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        train_tokenizer(iter(TEXTS), Tokenizer(kind="unigram", vocabulary=300), tmp_path)


def test_digits_are_single_and_enclitic_pronouns_are_whole(folder: Path) -> None:
    encoder = open_tokenizer(folder)
    assert len(encoder.encode("1969").ids) == 4
    words = [w for w, _ in encoder.pre_tokenizer.pre_tokenize_str("disse-lhe e deu-se-lhe")]
    assert words == ["disse", "-lhe", "Ġe", "Ġdeu", "-se", "-lhe"]


def test_a_long_document_cut_in_pieces_has_the_same_tokens(folder: Path) -> None:
    encoder = open_tokenizer(folder)
    text = "\n".join(TRICKY[3:] + TEXTS) + "\r\n \n\u0301x\n\n- item\n!\n\n\nfim"
    for characters in range(1, 60):
        pieces = cut(text, characters)
        assert "".join(pieces) == text
        ids = [i for piece in pieces for i in encoder.encode(piece).ids]
        assert ids == encoder.encode(text).ids
    assert len(cut(text, 10)) > 10


def test_a_line_without_breaks_is_cut_at_spaces_with_the_same_tokens(folder: Path) -> None:
    encoder = open_tokenizer(folder)
    text = " ".join(TRICKY + TEXTS).replace("\n", " ").replace("\r", " ")
    text += " 12  3 ª º  x² ½ e\u0301 _ a\u00a0b c\t d , e; f 漢字 😀 g" + " 7" * 5
    for characters in range(1, 40):
        pieces = cut(text, characters)
        ids = [i for piece in pieces for i in encoder.encode(piece).ids]
        assert ids == encoder.encode(text).ids
    assert len(cut(text, 10)) > 10


def test_documents_are_encoded_in_order_whatever_their_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SLICE_BYTES", 40)
    monkeypatch.setattr(encoding, "PIECE_CHARACTERS", 20)
    encoder = open_tokenizer(folder)
    texts = ["", *TRICKY, TEXTS[0] * 3, ""]
    batches = [
        pa.RecordBatch.from_pydict({"text": texts[i : i + 4]}) for i in range(0, len(texts), 4)
    ]
    found = list(encode_documents(encoder, batches, eos=0))
    assert [t for e in found for t in e.documents.column("text").to_pylist()] == texts
    assert sum((e.ids.tolist() for e in found), []) == [
        i for t in texts for i in [*encoder.encode(t).ids, 0]
    ]
    lengths = [len(encoder.encode(t).ids) + 1 for t in texts]
    assert sum((e.lengths.tolist() for e in found), []) == lengths
    assert len(found) > len(batches) / 2


def test_ids_are_stored_in_two_bytes_up_to_65536_tokens() -> None:
    assert token_dtype(65_536).itemsize == 2
    assert token_dtype(65_537).itemsize == 4


def test_a_foreign_tokenizer_without_the_end_token_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="no token <"):
        token_id(open_tokenizer(folder), "<|outro|>")
