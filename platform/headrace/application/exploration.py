"""The section `exploration`: by which policy slates show items that the ranker would not.

    exploration: {policy: epsilon_greedy, epsilon: 0.05, fresh: 0.1}

Without the section nobody is shown anything but the ranker's best: to explore costs clicks, and a
shop is to have decided it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_type_hints

import msgspec

from headrace.application.reading import keys_of

GREEDY: Final = "greedy"
EPSILON_GREEDY: Final = "epsilon_greedy"
THOMPSON: Final = "thompson"
EPSILON: Final = 0.05  # of the policy epsilon_greedy
MAX_DRAWS: Final = 1_000

PolicyName = Literal["greedy", "epsilon_greedy", "thompson"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Draws = Annotated[int, msgspec.Meta(ge=10, le=MAX_DRAWS)]
Deviation = Annotated[float, msgspec.Meta(ge=0, le=10)]


class Exploration(msgspec.Struct, frozen=True):
    """The exploration policy of slates and its parameters."""

    policy: PolicyName = GREEDY
    epsilon: Share = 0.0  # probability that a place shows an item drawn from all candidates
    fresh: Share = 0.0  # and one drawn from those of the source `fresh`
    draws: Draws = 100  # of the posterior, that propensities are estimated with
    # By how much log odds of items differ where the model says the same of them.
    item_deviation: Deviation = 0.5

    @property
    def num_draws(self) -> int:
        """Draws behind each propensity, 0 where they are exact."""
        return self.draws if self.policy == THOMPSON else 0


def read_exploration(section: object, problems: list[str]) -> Exploration:
    """The policy of the section; adds its problems."""
    kinds = get_type_hints(Exploration, include_extras=True)
    found = keys_of(kinds, section, "exploration", problems)
    if found.get("policy") == EPSILON_GREEDY:
        found.setdefault("epsilon", EPSILON)
    made = Exploration(**found)
    policy, epsilon, fresh = made.policy, made.epsilon, made.fresh
    problems += [
        f"exploration.{name}: is for the policy {THOMPSON}, got the policy {policy}"
        for name in ("draws", "item_deviation")
        if name in found and policy != THOMPSON
    ]
    if policy == GREEDY and epsilon:
        problems.append(
            f"exploration.epsilon: got {epsilon:g} with the policy {GREEDY}, which draws nothing: "
            f"expected {EPSILON_GREEDY} or {THOMPSON}"
        )
    if epsilon + fresh > 1:
        problems.append(
            f"exploration: epsilon and fresh are {epsilon + fresh:g} together, expected at most 1"
        )
    return made
