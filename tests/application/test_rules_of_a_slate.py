"""The sections `filters`, `blocked`, `rerank` and `weights`: meanings and faults."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from headrace.application.condition import (
    Either,
    Every,
    HasWord,
    InRange,
    IsItem,
    Not,
    OnSurface,
    Reader,
)
from headrace.application.filters import REASONS
from headrace.application.reranking import Boost, Caps, Diversity, Pin
from headrace.application.sections import Application, read_sections

FOLDER = Path(__file__).resolve().parents[2] / "platform" / "headrace" / "pipeline"


def parsed(text: str) -> Application:
    application, problems = read_sections(yaml.safe_load(text))
    assert not problems
    return application


def problems_of(text: str) -> list[str]:
    return read_sections(yaml.safe_load(text))[1]


def test_conditions_are_keys_that_all_have_to_hold() -> None:
    made = parsed(
        "attributes: {weight: {}}\n"
        "filters:\n"
        "  plain: {category: tea}\n"
        "  several: {brand: [acme, 7, true], price: {below: 20, at_least: 1}, weight: 3}\n"
        "  joined: {any: [{item: i1}, {not: {surface: [home, search]}}]}\n"
    ).filters
    assert made["plain"] == HasWord("categories", ("tea",))
    assert made["several"] == Every(
        (
            HasWord("attributes", ("brand=acme", "brand=7", "brand=true")),
            InRange("price", at_least=1, below=20),
            InRange("weight", at_least=3, at_most=3),
        )
    )
    assert made["joined"] == Either((IsItem(("i1",)), Not(OnSurface(("home", "search")))))


def test_blocked_lists_are_of_ids_categories_and_values_of_attributes() -> None:
    made = parsed("blocked: {item: [i1, i2], brand: acme}").blocked
    assert made == Either((IsItem(("i1", "i2")), HasWord("attributes", ("brand=acme",))))
    assert Application().blocked is None and Application().filters == {}


def test_rules_over_the_ranked_list() -> None:
    made = parsed(
        "actions: [click, purchase]\n"
        "rerank:\n"
        "  boosts: [{where: {category: tea}, factor: 1.5}]\n"
        "  diversity: {method: dpp, strength: 0.5, by: factors}\n"
        "  caps: {category: 3, brand: 1, strict: true}\n"
        "  pins: [{item: i1, position: 0, surfaces: [home]},\n"
        "    {item: i2, position: 0, surfaces: [a]}]\n"
        "ranking: {click: 1, value: 0.2}\n"
        "weights: {click: [0, 2], value: [0, 1.5]}\n"
    )
    assert made.rerank.boosts == (Boost(HasWord("categories", ("tea",)), 1.5),)
    assert made.rerank.diversity == Diversity("dpp", 0.5, "factors", 50)
    assert made.rerank.caps == Caps({"category": 3, "brand": 1}, strict=True)
    assert made.rerank.pins == (Pin("i1", 0, ("home",)), Pin("i2", 0, ("a",)))
    assert made.ranking == {"click": 1.0, "value": 0.2}
    assert made.weights == {"click": (0.0, 2.0), "value": (0.0, 1.5)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("filters: [tea]", "filters: got ['tea'], expected conditions by name"),
        (
            "filters: {a: tea}",
            "filters.a: got 'tea', expected a condition such as {category: wine}",
        ),
        ("filters: {a: {}}", "filters.a: got {}, expected a condition"),
        ("filters: {seen: {category: a}}", "filters: got the name 'seen', expected small letters"),
        ("filters: {A: {category: a}}", "filters: got the name 'A'"),
        (
            "filters: {a: {categories: b}}",
            "filters.a.categories: unknown key (did you mean category?)",
        ),
        ("filters: {a: {category: []}}", "filters.a.category: got an empty list"),
        (
            "filters: {a: {price: cheap}}",
            "filters.a.price: got 'cheap', expected a number, or one of",
        ),
        ("filters: {a: {price: {under: 3}}}", "filters.a.price: under: unknown key"),
        ("filters: {a: {price: {below: x}}}", "filters.a.price.below: got 'x', expected a number"),
        (
            "filters: {a: {size: {below: 3}}}",
            "filters.a.size: got {'below': 3}, expected a value or",
        ),
        (
            "filters: {a: {any: {b: c}}}",
            "filters.a.any: got {'b': 'c'}, expected a list of conditions",
        ),
        ("filters: {a: {any: [{not: 5}]}}", "filters.a.any[0].not: got 5, expected a condition"),
        (
            "filters: {a: {size: [null]}}",
            "filters.a.size: got None, expected text, a number or true",
        ),
        (
            "locale: {country: NL}",
            "locale: got {'country': 'NL'}, expected 1 to 4 names of attributes",
        ),
        ("locale: []", "locale: got [], expected 1 to 4 names of attributes such as country"),
        ("blocked: [i1]", "blocked: got ['i1'], expected lists such as {item: [A-17]"),
        ("rerank: {boost: []}", "rerank.boost: unknown key (did you mean boosts?)"),
        ("rerank: {boosts: [{where: {category: a}}]}", "rerank.boosts[0].factor: missing"),
        ("rerank: {boosts: [{factor: 0, where: {a: b}}]}", "rerank.boosts[0].factor: got 0"),
        (
            "rerank: {diversity: {method: best}}",
            "rerank.diversity.method: got 'best', expected mmr, dpp",
        ),
        ("rerank: {diversity: {among: 900}}", "rerank.diversity.among: got 900"),
        ("rerank: {caps: {brand: 0}}", "rerank.caps.brand: got 0"),
        ("rerank: {caps: {categories: 1}}", "did you mean category?"),
        ("rerank: {caps: {price: 1}}", "rerank.caps: got the name 'price'"),
        ("rerank: {caps: {strict: true}}", "rerank.caps: got 0 of them"),
        ("rerank: {pins: [{item: i1}]}", "rerank.pins[0].position: missing"),
        (
            "rerank: {pins: [{item: a, position: 1}, {item: b, position: 1, surfaces: [x]}]}",
            "rerank.pins[1]: the position or the item of rerank.pins[0], on the same surface",
        ),
        ("weights: {like: [1, 0]}", "weights.like: got [1.0, 0.0], expected the least and then"),
        ("weights: {click: 3}", "weights.click: got 3, expected a list"),
        ("weights: {value: [0, 1]}", "weights.value: unknown key"),
        ("ranking: {value: 1}", "ranking.value: unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(text: str, problem: str) -> None:
    problems = problems_of(text)
    assert len(problems) == 1 and problem in problems[0], problems


def test_a_condition_of_a_request_has_an_end() -> None:
    reader = Reader(max_tests=2, max_values=3)
    reader.condition({"any": [{"a": "1"}, {"b": ["2", "3"]}]}, "filters")
    assert reader.problems == []
    reader.condition({"c": "4"}, "filters")
    assert reader.problems == [("filters.c", "one condition too many, expected 2 at most")]
    deep: object = {"a": "1"}
    for _ in range(9):
        deep = {"not": deep}
    reader = Reader()
    reader.condition(deep, "filters")
    assert [told for _, told in reader.problems] == ["got more than 8 conditions in each other"]


def test_no_filter_of_ones_own_has_the_name_of_another() -> None:
    named = {
        line.partition('"')[2].rpartition('"')[0]
        for path in [*FOLDER.glob("filters/*.py"), *FOLDER.glob("rerank/*.py")]
        for line in path.read_text().splitlines()
        if line.strip().startswith('name: Final = "')
    }
    assert named - {"seen_last", "boosts", "diversity"} <= set(REASONS)
