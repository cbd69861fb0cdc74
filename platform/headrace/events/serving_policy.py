"""The serving policy: who drew the items of a slate, as its impression names it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_NAME: Final = 256  # characters
MAX_DRAWS: Final = 1_000_000  # behind the propensities of one slate

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class ServingPolicy(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """The policy under which the propensities of a slate's items are probabilities."""

    name: Name
    version: Name  # of its parameters
    num_draws: Annotated[int, msgspec.Meta(ge=0, le=MAX_DRAWS)] = 0  # 0: propensities are exact

    @property
    def text(self) -> str:
        """Name and version, as samples have them."""
        return f"{self.name}@{self.version}"
