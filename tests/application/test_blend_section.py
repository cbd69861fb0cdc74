"""The section `blend`: weights of the ranker and of sources, in a session and at its begin."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from headrace.application.sections import read_sections


def read(text: str) -> tuple[Any, list[str]]:
    application, problems = read_sections(yaml.safe_load(text))
    return application.blend, problems


def test_a_blend_has_weights_for_two_cases() -> None:
    blend, problems = read("blend: {session: {ranker: 1, covisited: 2}, begin: {trending: 1}}")
    assert blend == {"session": {"ranker": 1.0, "covisited": 2.0}, "begin": {"trending": 1.0}}
    assert not problems and read("{}") == ({}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("blend: 1", "blend: got 1, expected the keys session, begin"),
        ("blend: {session: {ranker: 1}}", "blend.begin: missing, expected weights such as"),
        (
            "blend: {session: {same_categories: 1}, begin: {ranker: 1}}",
            "blend.session.same_categories: unknown key",
        ),
        ("blend: {session: {ranker: x}, begin: {ranker: 1}}", "blend.session.ranker: got 'x'"),
    ],
)
def test_a_problem_has_its_path(text: str, problem: str) -> None:
    assert problem in "; ".join(read(text)[1])
