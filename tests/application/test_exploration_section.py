"""The section `exploration`: which policy it declares, and what is wrong with one."""

from __future__ import annotations

import pytest
import yaml

from headrace.application.exploration import Exploration
from headrace.application.sections import read_sections


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Exploration("greedy")),
        ("{policy: epsilon_greedy}", Exploration("epsilon_greedy", 0.05)),
        ("{policy: epsilon_greedy, epsilon: 0.01}", Exploration("epsilon_greedy", 0.01)),
        ("{fresh: 0.1}", Exploration("greedy", 0.0, 0.1)),
        ("{policy: thompson}", Exploration("thompson", 0.0, 0.0, 100, 0.5)),
        ("{policy: thompson, draws: 50}", Exploration("thompson", draws=50)),
    ],
)
def test_exploration_is_a_decision_of_the_shop(text: str, expected: Exploration) -> None:
    application, problems = read_sections({"exploration": yaml.safe_load(text)})
    assert application.exploration == expected and not problems
    assert read_sections({})[0].exploration == Exploration("greedy", 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{policy: ucb}", "exploration.policy: got 'ucb', expected greedy, epsilon_greedy, thomp"),
        ("{epsilon: 0.1}", "exploration.epsilon: got 0.1 with the policy greedy"),
        ("{policy: thompson, draws: 5}", "exploration.draws: got 5, expected a whole number >= 10"),
        ("{draws: 50}", "exploration.draws: is for the policy thompson, got the policy greedy"),
        (
            "{policy: epsilon_greedy, epsilon: 0.6, fresh: 0.6}",
            "exploration: epsilon and fresh are 1.2 together, expected at most 1",
        ),
    ],
)
def test_what_is_wrong_has_its_path(text: str, problem: str) -> None:
    (found,) = read_sections({"exploration": yaml.safe_load(text)})[1]
    assert found.startswith(problem)
