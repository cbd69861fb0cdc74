"""A small shop: a catalogue with gaps in its content, and requests made from a seed."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.catalogue.words import ContentTable, user_word_keys
from headrace.features.inputs import RequestFeatures
from headrace.keys import key
from headrace.model import batch
from headrace.model.batch import Batch
from headrace.model.config import CLICK, Head, RankerConfig

NUM_DENSE = 5
MAX_EVENTS = 12
WORDS = ("red", "blue", "mug", "pen", "lamp")
# Every fourth item has no content at all.
ITEMS = {
    f"i{n}": Item(f"i{n}", WORDS[n % 5], (WORDS[n % 3],), (f"maker={n % 2}",))
    if n % 4
    else Item(f"i{n}")
    for n in range(40)
}
CONTENT = ContentTable(ITEMS)
WIDTHS = (6, 3)  # of the vectors of two further modalities
CONFIG = RankerConfig(NUM_DENSE, dim=8, history=MAX_EVENTS, hidden=32, dense_learning_rate=0.05)
HEADS = (
    Head(CLICK),
    Head("long_view", weight=0.5),
    Head("conversion", "after_click"),
    Head("feeling", "categorical", num_classes=3),
)
# Everything that can be switched on.
RICH = replace(CONFIG, heads=HEADS, surfaces=("home", "search"), content_widths=WIDTHS)


@dataclass(frozen=True)
class Asked:
    """One request in words; `batch_of` takes several."""

    user: str
    attributes: tuple[str, ...]
    items: tuple[str, ...]
    features: RequestFeatures
    clicked: tuple[int, ...]

    def only(self, *numbers: int) -> Asked:
        """The same request with these of its candidates."""
        dense_NF = self.features.dense_NF[list(numbers)]
        return replace(
            self,
            items=tuple(self.items[n] for n in numbers),
            features=RequestFeatures(dense_NF, self.features.history_3T),
            clicked=tuple(self.clicked[n] for n in numbers),
        )

    def request(self) -> batch.BatchRequest:
        return batch.BatchRequest(
            user_key=key(self.user),
            user_words=user_word_keys(self.attributes),
            item_keys=[key(item_id) for item_id in self.items],
            features=self.features,
            label_NJ=np.array(self.clicked, dtype=np.float32)[:, None],
        )


def asked(seed: int, num_items: int = 5, num_events: int = 6) -> Asked:
    random = np.random.default_rng(seed)
    history_3T = np.zeros((3, MAX_EVENTS), dtype=np.int64)
    past = random.integers(0, 45, num_events)  # some are not in the catalogue
    history_3T[0, :num_events] = [key(f"i{n}") for n in past]
    history_3T[1, :num_events] = 2 ** random.uniform(0, 35, num_events)
    history_3T[2, :num_events] = random.integers(0, 2, num_events)
    items = random.choice(45, num_items, replace=False)
    dense_NF = random.normal(1, 2, (num_items, NUM_DENSE)).astype(np.float32)
    return Asked(
        user=f"u{seed % 7}",
        attributes=("age=30", f"city={seed % 3}")[: seed % 3],
        items=tuple(f"i{n}" for n in items),
        features=RequestFeatures(dense_NF, history_3T),
        clicked=tuple(random.integers(0, 2, num_items).tolist()),
    )


def batch_of(*requests: Asked, content: ContentTable = CONTENT) -> Batch:
    return batch.make_batch([one.request() for one in requests], content)


def rich_content(seed: int = 0) -> ContentTable:
    """The catalogue with vectors of two modalities; some items lack one, some both."""
    random = np.random.default_rng(seed)
    columns = []
    for m, width in enumerate(WIDTHS):
        ids = [item_id for item_id in ITEMS if random.random() < 0.7]
        vector_ND = random.normal(0, 1, (len(ids), width)).astype(np.float32)
        columns.append(VectorColumn.of(f"made/{m}", ids, vector_ND))
    return ContentTable(ITEMS, ContentVectors(columns))


def rich_batch(seed: int, num_requests: int = 6, content: ContentTable | None = None) -> Batch:
    """Requests with every label, position, surface, dwell time and vector; some unknown."""
    random = np.random.default_rng(seed)
    requests = [
        replace(
            one.request(),
            label_NJ=rich_labels(random, one.clicked),
            position_N=np.arange(len(one.items)) if number % 3 else None,
            surface=number % 3,
        )
        for number, one in enumerate(
            asked(seed + n, num_items=n % 4 + 2, num_events=2 * n % MAX_EVENTS)
            for n in range(num_requests)
        )
    ]
    made = batch.make_batch(requests, content or rich_content())
    dwell_BT = torch.from_numpy(random.integers(0, 60_000, made.history.age_BT.shape))
    return replace(
        made,
        items=made.items and spoilt(made.items),
        history=replace(made.history, dwell_BT=dwell_BT),
    )


def spoilt(items: batch.Items) -> batch.Items:
    """The items with nonsense where they have no vector: it must not matter."""
    if items.vector_UMW is None or items.mask_UM is None:
        return items
    return replace(items, vector_UMW=items.vector_UMW.where(items.mask_UM[..., None], torch.nan))


def rich_labels(random: np.random.Generator, clicked: tuple[int, ...]) -> NDArray[np.float32]:
    """[N, J]: labels of the four heads; those after the first are unknown here and there."""
    clicked_N = np.array(clicked)
    label_NJ = np.stack(
        [
            clicked_N,
            random.integers(0, 2, len(clicked)),
            clicked_N * random.integers(0, 2, len(clicked)),
            random.integers(0, 3, len(clicked)),
        ],
        axis=1,
    ).astype(np.float32)
    label_NJ[:, 1:][random.random((len(clicked), 3)) < 0.2] = np.nan
    return label_NJ


def round_trip(state: dict[str, Any]) -> dict[str, Any]:
    """The state after a round trip through a file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a nested state by their path."""
    if isinstance(state, dict):
        parts = [flat(value, f"{name}.{part}") for part, value in state.items()]
        return {path: leaf for part in parts for path, leaf in part.items()}
    if isinstance(state, list):
        return flat(dict(enumerate(state)), name)
    if isinstance(state, float) and state != state:
        return {name: "nan"}  # which is equal to itself
    return {name: state.numpy().tobytes() if isinstance(state, torch.Tensor) else state}
