"""The section `exploration`: by which policy slates show items that the ranker would not.

    exploration: {policy: epsilon_greedy, epsilon: 0.05, fresh: 0.1}

Without the section nobody is shown anything but the ranker's best: to explore costs clicks, and a
shop is to have decided it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from headrace.application.reading import keys_of

GREEDY: Final = "greedy"
EPSILON_GREEDY: Final = "epsilon_greedy"
EPSILON: Final = 0.05

PolicyName = Literal["greedy", "epsilon_greedy"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
KINDS: Final = {"policy": PolicyName, "epsilon": Share, "fresh": Share}


class Exploration(msgspec.Struct, frozen=True):
    """The exploration policy of slates and its parameters."""

    policy: PolicyName = GREEDY
    epsilon: Share = 0.0  # probability that a place shows an item drawn from all candidates
    fresh: Share = 0.0  # and one drawn from those of the source `fresh`


def read_exploration(section: object, problems: list[str]) -> Exploration:
    """The policy of the section; adds what is wrong."""
    found = keys_of(KINDS, section, "exploration", problems)
    policy = found.get("policy", GREEDY)
    epsilon = found.get("epsilon", 0.0 if policy == GREEDY else EPSILON)
    fresh = found.get("fresh", 0.0)
    if policy == GREEDY and epsilon:
        problems.append(
            f"exploration.epsilon: got {epsilon:g} with the policy {GREEDY}, which draws nothing: "
            f"expected the policy {EPSILON_GREEDY}"
        )
    if epsilon + fresh > 1:
        problems.append(
            f"exploration: epsilon and fresh are {epsilon + fresh:g} together, expected at most 1"
        )
    return Exploration(policy, epsilon, fresh)
