"""The table of actions: which rows make one, and that nothing else knows the actions by name."""

from __future__ import annotations

import ast
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import msgspec
import pytest

from headrace.action import ACTIONS, AVERSIONS, BIT, FEATURED, TABLE, strongest
from headrace.application.action import (
    BUILT_IN,
    CLICK,
    FIELDS,
    MAX_ACTIONS,
    Action,
    table,
)
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.event import Shown

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("platform", "feature_repo", "serving", "trainers", "benchmarks")
FIRST = Action(CLICK, field="clicked", prior=0.5)
EIGHT = (FIRST, *(Action(f"did_{n}") for n in range(MAX_ACTIONS - 1)))

# Files beside the table that spell an action, or the field that tells it, and why.
SPELLED = {
    "platform/headrace/features/aggregation/sequence.py": "a value's share of 1 has this name too",
    "platform/headrace/features/aggregation/aggregators.py": "the same",
    "platform/headrace/commands/status.py": "a part's report",
    "platform/headrace/datasets/kuairand/history.py": "three lists of a file have these meanings",
    "platform/headrace/datasets/draft/words.py": "words that shops have for them",
    "platform/headrace/evaluation/files/impressions.py": "a label of KuaiRand has such a name",
    "benchmarks/quality_logs.py": "the same label",
    "benchmarks/serving/whole.py": "it hides an item, to see when slates lack it",
}


def test_todays_actions_have_the_bits_and_heads_that_samples_and_models_were_made_with() -> None:
    assert list(BIT.items())[:3] == [("click", 1), ("like", 2), ("long_view", 4)]
    assert FEATURED == ("click", "like", "long_view") and not AVERSIONS & 0b111
    assert Settings().training.heads == ("click", "like", "long_view")
    assert Settings().serving.rank_by == {"click": 1.0}


def test_eight_actions_are_built_in_and_taken_without_an_application() -> None:
    assert set(ACTIONS) == set(BUILT_IN) and len(ACTIONS) == MAX_ACTIONS
    assert {name for name in ACTIONS if BIT[name] & AVERSIONS} == {"hide", "report"}
    only_told = {row.name for row in TABLE if not (row.predicted or row.features)}
    assert only_told == {"add_to_cart", "purchase", "share", "hide", "report"}
    assert all(row.predicted and row.features for row in BUILT_IN.values())
    assert table(*BUILT_IN.values()), "a deployment may declare them as they are"


def test_an_aversion_is_stronger_than_all_and_a_purchase_than_other_wishes() -> None:
    strength = [strongest(BIT[name]) for name in ("click", "like", "add_to_cart", "purchase")]
    came = 0
    for bit in [*strength, BIT["hide"], BIT["report"]]:
        came |= bit
        assert strongest(came) == bit
    assert strongest(0) == 0


def test_a_table_has_up_to_eight_rows_and_a_ninth_is_refused_by_name() -> None:
    for num in range(1, MAX_ACTIONS + 1):
        assert table(*EIGHT[:num]) == EIGHT[:num]
    with pytest.raises(ConfigError, match="9 of them, at most 8 .* leave out one_more$"):
        table(*EIGHT, Action("one_more"))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ((), "none: expected click to be the first"),
        ((Action("like"), FIRST), "like, click: expected click to be the first"),
        ((FIRST, Action("like"), Action("like")), "like is there 2 times"),
        ((FIRST, Action("a", field="liked"), Action("b", field="liked")), "field liked tells 2"),
        ((FIRST, Action("Add to cart")), "name 'Add to cart': expected small letters"),
        ((FIRST, Action("shown")), "name 'shown'"),
        ((FIRST, Action("share", field="shared")), "share: field 'shared': expected one of"),
        ((FIRST, Action("share", after="like")), "share: after 'like': only"),
        ((replace(FIRST, after=CLICK),), "click: after 'click': only"),
        ((FIRST, Action("share", window_s=0.0)), "share: window_s 0.0: expected"),
        ((FIRST, Action("share", prior=1.0)), "share: prior 1.0: expected"),
        ((replace(FIRST, wish=False),), "click: expected a wish"),
        ((replace(FIRST, predicted=False),), "click: .* predicted"),
        ((replace(FIRST, features=False),), "click: expected a wish with features"),
        ((replace(FIRST, field=""),), "click: .* told by the field clicked"),
        ((replace(FIRST, value="grade"),), "click: its events carry no value"),
        ((FIRST, Action("share", value="price")), "share: value 'price': expected money, grade"),
        ((FIRST, Action("share", window_s=inf)), "share: window_s inf: expected"),
        ((FIRST, Action("hide", wish=False, hides_s=nan)), "hide: hides_s nan: expected"),
        ((FIRST, Action("hide", wish=False, hides_s=-1)), "hide: hides_s -1: expected"),
    ],
)
def test_a_row_that_cannot_be_is_named(rows: tuple[Action, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        table(*rows)


def test_all_problems_of_a_table_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        table(Action("Like"), Action("share", prior=0.0))
    for problem in ("click to be the first", "'Like'", "prior 0.0"):
        assert problem in str(caught.value)


def test_every_field_of_an_impressions_item_that_may_tell_an_action_is_known_to_the_table() -> None:
    told = [field.name for field in msgspec.structs.fields(Shown) if field.type == bool | None]
    assert told == list(FIELDS) == [row.field for row in TABLE if row.field]


def test_adding_an_action_touches_one_file() -> None:
    """No other file of the code spells an action but the click, or the field that tells it."""
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if spells(path, {*ACTIONS} - {CLICK}, {*FIELDS} - {TABLE[0].field})
    }
    assert found - {"platform/headrace/application/action.py"} <= set(SPELLED)


def spells(path: Path, actions: set[str], fields: set[str]) -> bool:
    """Whether a file has one of these actions as a text or a constant, or one of these fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Constant(value=str(text)) if actions & {text, *text.split(",")}:
                return True
            case ast.Name(id=name) if name in {action.upper() for action in actions}:
                return True
            case ast.keyword(arg=name) | ast.Attribute(attr=name) if name in fields:
                return True
    return False
