"""The ranker's configuration: sizes, heads and learning rates, saved with every version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Literal

from headrace.action import AVERSIONS, BIT, FEATURED, MAX_ACTIONS, TABLE
from headrace.action import CLICK as CLICK
from headrace.errors import ConfigError

HeadKind = Literal["binary", "after_click", "categorical"]


@dataclass(frozen=True, slots=True)
class Head:
    """One outcome that the ranker predicts.

    `binary`: whether it happens. `after_click`: whether it happens given a click; it is trained on
    all impressions, through the product with the click. `categorical`: which of `num_classes`.
    """

    name: str
    kind: HeadKind = "binary"
    num_classes: int = 1
    weight: float = 1.0  # of its loss

    @property
    def num_logits(self) -> int:
        return self.num_classes if self.kind == "categorical" else 1


def heads_of(names: Sequence[str]) -> tuple[Head, ...]:
    """The heads of these outcomes: those that the table has after a click are predicted given one,
    all others for each impression."""
    after = {row.name for row in TABLE if row.after}
    return tuple(Head(name, "after_click" if name in after else "binary") for name in names)


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """Sizes and learning rates. The heads begin with the click; categorical ones come last."""

    num_dense: int  # features per candidate
    rates: tuple[int, ...] = ()  # those of them that lie between 0 and 1
    heads: tuple[Head, ...] = (Head(CLICK),)
    surfaces: tuple[str, ...] = ()  # those that are told apart
    content_widths: tuple[int, ...] = ()  # of the content vectors, one per modality
    dim: int = 32
    history: int = 16  # past events that are read
    num_layers: int = 1  # of the user tower
    num_attention_heads: int = 1
    feed_forward: int = 2  # hidden width of the user tower's layers, in dims
    pair: int = 16  # width of each of the five parts that say how user and candidate meet
    num_cross: int = 1
    cross_rank: int = 16
    hidden: int = 64
    num_experts: int = 2  # shared by the heads; each has one more of its own
    expert: int = 16
    actions: tuple[str, ...] = FEATURED  # that past outcomes tell, in the order of their bits
    aversions: tuple[str, ...] = tuple(name for name in FEATURED if BIT[name] & AVERSIONS)
    fusion: str = "gated"
    modality_dropout: float = 0.0
    bfloat16: bool = False
    embedding_learning_rate: float = 0.05
    word_learning_rate: float = 0.05
    dense_learning_rate: float = 1e-2
    # When a user without attributes has embeddings, and how many impressions trained without a
    # user, an item or a word end his or its. Both may change while a model goes on.
    admit_after: int = field(default=2, compare=False)  # requests of his, this one included
    expire_after: int = field(default=5_000_000, compare=False)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ConfigError(f"ranker configuration: {'; '.join(problems)}")

    @property
    def scalar_heads(self) -> tuple[Head, ...]:
        """The heads of one logit each; logit k belongs to the k-th of them."""
        return tuple(head for head in self.heads if head.kind != "categorical")

    @property
    def after_click(self) -> tuple[bool, ...]:
        """Which of the scalar heads say how probable something is given a click."""
        return tuple(head.kind == "after_click" for head in self.scalar_heads)

    def surface_number(self, name: str) -> int:
        """The number of a surface in batches; 0 for all that have none of their own."""
        return self.surfaces.index(name) + 1 if name in self.surfaces else 0

    @property
    def num_logits(self) -> int:
        return sum(head.num_logits for head in self.heads)


def _problems(config: RankerConfig) -> list[str]:
    names = [head.name for head in config.heads]
    kinds = [head.kind == "categorical" for head in config.heads]
    found = {
        f"heads {names} must begin with {CLICK!r}, a binary one": (
            names[:1] != [CLICK] or config.heads[0].kind != "binary"
        ),
        f"heads {names} must have different names": len(set(names)) != len(names),
        f"heads {names}: categorical ones must come last": kinds != sorted(kinds),
        f"actions {list(config.actions)} must be at most {MAX_ACTIONS} different ones": (
            not len(set(config.actions)) == len(config.actions) <= MAX_ACTIONS
        ),
        f"aversions {list(config.aversions)} must be among the actions": (
            not set(config.aversions) <= set(config.actions)
        ),
        f"surfaces {list(config.surfaces)} must be different": (
            len(set(config.surfaces)) != len(config.surfaces)
        ),
        f"dim {config.dim} must be a multiple of num_attention_heads "
        f"{config.num_attention_heads}": config.dim % config.num_attention_heads != 0,
        f"content_widths {list(config.content_widths)}: a table of content vectors is empty": (
            0 in config.content_widths
        ),
        f"rates {list(config.rates)} must be columns of the {config.num_dense} features": not all(
            0 <= column < config.num_dense for column in config.rates
        ),
        f"modality_dropout {config.modality_dropout} must lie in [0, 1)": not (
            0 <= config.modality_dropout < 1
        ),
    }
    return [problem for problem, is_one in found.items() if is_one]


def nano(num_dense: int) -> RankerConfig:
    """For tests and small machines."""
    return RankerConfig(num_dense)


def base(num_dense: int) -> RankerConfig:
    """For serving 500 candidates in milliseconds on one core."""
    return RankerConfig(
        num_dense,
        dim=64,
        history=48,
        pair=32,
        cross_rank=24,
        hidden=128,
        expert=32,
        dense_learning_rate=4e-3,
    )


def large(num_dense: int) -> RankerConfig:
    """For a GPU."""
    return RankerConfig(
        num_dense,
        dim=256,
        history=512,
        num_layers=4,
        num_attention_heads=4,
        feed_forward=4,
        pair=128,
        num_cross=3,
        cross_rank=64,
        hidden=512,
        num_experts=4,
        expert=64,
        bfloat16=True,
        dense_learning_rate=2e-3,
    )


SIZES: Final[Mapping[str, Callable[[int], RankerConfig]]] = {
    "nano": nano,
    "base": base,
    "large": large,
}
SIZED: Final = tuple(  # the fields in which the sizes differ
    of.name
    for of in fields(RankerConfig)
    if len({getattr(make(0), of.name) for make in SIZES.values()}) > 1
)


def size_of(config: RankerConfig) -> str:
    """The name of a configuration's size, "" where it is none of those that have one."""
    sized = {name: make(config.num_dense) for name, make in SIZES.items()}
    return next(
        (
            name
            for name, one in sized.items()
            if all(getattr(one, of) == getattr(config, of) for of in SIZED)
        ),
        "",
    )
