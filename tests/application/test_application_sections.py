"""The sections of the application file: what each means, and what is wrong with each, at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headrace.application.action import (
    BUILT_IN,
    CLICK,
    DEFAULT_TABLE,
    MAX_ACTIONS,
    NAME,
    NOT_NAMES,
    Action,
)
from headrace.application.current import load
from headrace.application.document import path_of, read
from headrace.application.sections import Application, Negatives, read_sections
from headrace.application.seen import SeenPolicy
from headrace.errors import ConfigError
from headrace.settings.seen import seen_policy


def parsed(text: str) -> Application:
    application, problems = read_sections(yaml.safe_load(text) or {})
    assert not problems
    return application


def problems_of(text: str) -> list[str]:
    return read_sections(yaml.safe_load(text))[1]


def test_without_sections_all_is_default() -> None:
    assert parsed("") == Application() and load("") == Application()
    default = Application()
    assert default.actions == DEFAULT_TABLE and default.heads[0] == CLICK
    assert default.ranking == {CLICK: 1.0} and default.seen.policy == "never_again"
    assert default.negatives == Negatives(per_positive=8, popularity=0.75)
    names = ("neighbours", "two_tower", "covisited", "best_categories", "trending")
    assert tuple(default.sources) == names


def test_actions_are_built_in_rows_by_name_and_rows_of_ones_own() -> None:
    listed = parsed("actions: [click, hide, {name: rating, prior: 0.3}]").actions
    assert listed == (BUILT_IN["click"], BUILT_IN["hide"], Action("rating", prior=0.3))
    mapped = parsed("actions: {click: {}, hide:, rating: {prior: 0.3}}").actions
    assert mapped == listed


def test_keys_override_those_of_a_built_in_row() -> None:
    text = "actions: {click: {prior: 0.1}, like: {after: click, window: 7d, predicted: false}}"
    click, like = parsed(text).actions
    assert (click.prior, click.field) == (0.1, BUILT_IN["click"].field)
    assert (like.after, like.window_s, like.predicted) == (CLICK, 604_800.0, False)
    assert like.field == BUILT_IN["like"].field


@pytest.mark.parametrize(
    "text", ["actions: [like, click]", "actions: [like]", "actions: {like: {}, click: {}}"]
)
def test_the_click_is_put_first_by_itself(text: str) -> None:
    assert [row.name for row in parsed(text).actions] == ["click", "like"]


def test_heads_surfaces_and_weights_are_names_in_the_order_of_the_file() -> None:
    made = parsed(
        "actions: [click, purchase, add_to_cart]\nheads: [purchase, click]\n"
        "ranking: {purchase: 5, click: 0.5}\nsurfaces: [home, search]"
    )
    assert made.heads == ("click", "purchase")
    assert made.ranking == {"purchase": 5.0, "click": 0.5}
    assert made.surfaces == ("home", "search")


def test_heads_are_those_of_predicted_rows_where_none_are_named() -> None:
    assert parsed("actions: {click: {}, like: {predicted: false}, a: {}}").heads == ("click", "a")


def test_sources_are_quotas_in_their_order() -> None:
    sources = parsed("sources: {trending: 0.25, same_categories: 1}").sources
    assert [*sources.items()] == [("trending", 0.25), ("same_categories", 1.0)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("seen: {policy: after, after: 30d}", SeenPolicy("after", 2_592_000.0)),
        ("seen: {policy: after_purchase}", SeenPolicy("after_purchase")),
        ("seen: {policy: always}", SeenPolicy("always")),
        ("seen: {policy: after, after: 2h, strict: true}", SeenPolicy("after", 7_200.0, True)),
        ("seen: {}", SeenPolicy("never_again")),
    ],
)
def test_seen_is_a_policy(text: str, seen: SeenPolicy) -> None:
    assert parsed(text).seen == seen


def test_negatives_are_how_many_and_by_which_power_of_popularity() -> None:
    text = "negatives: {per_positive: 32, popularity: 0}"
    assert parsed(text).negatives == Negatives(per_positive=32, popularity=0.0)
    assert parsed("negatives: {per_positive: 0}").negatives.per_positive == 0


@pytest.mark.parametrize(
    ("text", "length_s"),
    [
        ("7d", 604_800),
        ("12h", 43_200),
        ("30m", 1_800),
        ("45s", 45),
        ("1.5h", 5_400),
        ("2 h", 7_200),
    ],
)
def test_durations_have_units(text: str, length_s: float) -> None:
    assert parsed(f"actions: {{a: {{window: {text}}}}}").actions[1].window_s == length_s


def test_the_mapping_of_columns_is_kept_as_it_is_written() -> None:
    made = parsed("events: {file: e.csv}\nitems:\nheads: [click]")
    assert made.mapping == {"events": {"file": "e.csv"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("actoins: []", "actoins: unknown key (did you mean actions?), known here: actions, "),
        ("actions: 3", "actions: got 3, expected names, or rows by name"),
        ("actions: []", "actions: got [], expected names"),
        ("actions: [bar]", "actions[0]: got 'bar', expected one of click, "),
        ("actions: [click, 3]", "actions[1]: got 3, expected one of click, "),
        ("actions: [{wish: true}]", "actions[0]: got {'wish': True}, expected one of click, "),
        ("actions: {a: 3}", "actions.a: got 3, expected the keys field, wish, "),
        ("actions: {a: {wsh: true}}", "actions.a.wsh: unknown key (did you mean wish?)"),
        ("actions: {a: {wish: maybe}}", "actions.a.wish: got 'maybe', expected true or false"),
        ("actions: {a: {window: 7}}", "actions.a.window: got 7, expected a duration such as 7d"),
        ("actions: {a: {window: 0s}}", "actions.a.window: got '0s', expected a duration"),
        ("actions: {a: {window: 7w}}", "actions.a.window: got '7w', expected a duration"),
        ("actions: {a: {after: like}}", "actions.a: after 'like': only other actions"),
        ("actions: {a: {prior: 2}}", "actions.a: prior 2.0: expected a share"),
        ("actions: {Add to cart: {}}", "actions: name 'Add to cart': expected small letters"),
        ("actions: {true: {}}", "actions: name 'True': expected small letters"),
        ("actions: {click: {wish: false}}", "actions.click: expected a wish"),
        ("actions: [a]\nheads: [b]", "actions[0]: got 'a'"),
        ("heads: [clik]", "heads: got 'clik', expected some of the actions click, "),
        ("heads: click", "heads: got 'click', expected a list of names"),
        ("heads: [7]", "heads[0]: got 7, expected text"),
        ("heads: [click, click]", "heads: click is there 2 times"),
        ("ranking: [click]", "ranking: got ['click'], expected the keys click"),
        ("ranking: {}", "ranking: it is empty, expected weights of heads"),
        ("ranking: {clicks: 1}", "ranking.clicks: unknown key (did you mean click?)"),
        ("ranking: {click: much}", "ranking.click: got 'much', expected a number"),
        ("ranking: {click: .inf}", "ranking.click: got inf, expected a number <= "),
        ("ranking: {click: .nan}", "ranking.click: got nan, expected a number"),
        ("surfaces: [home, home]", "surfaces: home is there 2 times"),
        ("surfaces: ['a,b']", "surfaces: got 'a,b', expected 1 to 128 printable characters"),
        ("surfaces: [1]", "surfaces[0]: got 1, expected text"),
        ("sources: [trending]", "sources: got ['trending'], expected the keys best_categories"),
        ("sources: {}", "sources: it is empty, expected quotas such as {trending: 1}"),
        ("sources: {trendng: 1}", "sources.trendng: unknown key (did you mean trending?)"),
        ("sources: {trending: 0}", "sources.trending: got 0, expected a number > 0"),
        ("seen: never", "seen: got 'never', expected the keys policy, after"),
        ("seen: {policy: once}", "seen.policy: got 'once', expected never_again, after, "),
        ("seen: {policy: after}", "seen.after: missing, expected a duration such as 30d"),
        ("seen: {after: 3d}", "seen.after: is for the policy after, got the policy never_again"),
        ("seen: {policy: after, after: forever}", "seen.after: got inf s, expected a second"),
        (
            "actions: [click]\nseen: {policy: after_purchase}",
            "seen.policy: after_purchase, but no action carries money",
        ),
        ("negatives: 4", "negatives: got 4, expected the keys per_positive, popularity"),
        ("negatives: {per_positive: 33}", "per_positive: got 33, expected a whole number <= 32"),
        ("negatives: {per_positive: 1.5}", "per_positive: got 1.5, expected a whole number"),
        ("negatives: {popularity: 2}", "popularity: got 2, expected a number <= 1.0"),
    ],
)
def test_a_problem_has_its_path_what_came_and_what_was_expected(text: str, problem: str) -> None:
    found = problems_of(text)
    assert any(one.startswith(problem) or problem in one for one in found), found
    assert len(found) == 1 or "[a]" in text


def test_all_problems_of_all_sections_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "headrace.yaml"
    path.write_text(
        "actions: {a: {wish: maybe, windw: 3d}, b: 3}\nheads: [c]\nranking: {d: 1}\n"
        "surfaces: home\nseen: {policy: x}\nnegatives: {per_positive: -1}\nusres: {}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path))
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and "\n" not in said
    for name in ("actions.a.wish", "actions.a.windw", "actions.b", "heads", "ranking.d",
                 "surfaces", "seen.policy", "negatives.per_positive", "usres"):  # fmt: skip
        assert f"{name}: " in said


NAMES = st.from_regex(NAME, fullmatch=True).filter(lambda name: name not in (*NOT_NAMES, CLICK))
DURATIONS = st.sampled_from([("30s", 30.0), ("1.5h", 5_400.0), ("7d", 604_800.0)])


@st.composite
def declared(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """1 to 8 rows by name, of fields that any action but the click may have; none is built in."""
    names = draw(st.lists(NAMES, unique=True, max_size=MAX_ACTIONS - 1))
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        if name not in BUILT_IN:
            keys = {
                "wish": st.booleans(),
                "predicted": st.booleans(),
                "after": st.sampled_from(["", CLICK]),
                "window": DURATIONS.map(lambda one: one[0]),
                "prior": st.floats(0.01, 0.99),
            }
            rows[name] = draw(st.fixed_dictionaries({}, optional=keys))
    places = list(rows.items())
    places.insert(draw(st.integers(0, len(places))), (CLICK, {}))
    return dict(places)


@given(declared(), st.booleans())
def test_any_declared_actions_become_the_table(
    rows: dict[str, dict[str, Any]], as_list: bool
) -> None:
    section = [{"name": name, **keys} for name, keys in rows.items()] if as_list else rows
    text = yaml.safe_dump({"actions": section}, sort_keys=False)
    table = parsed(text).actions
    others = {name: keys for name, keys in rows.items() if name != CLICK}
    assert [row.name for row in table] == [CLICK, *others]
    lengths = {"30s": 30.0, "1.5h": 5_400.0, "7d": 604_800.0}
    for row in table[1:]:
        given = {
            ("window_s" if key == "window" else key): lengths.get(value, value)
            for key, value in others[row.name].items()
        }
        for field in fields(Action):
            expected = given.get(field.name, getattr(Action(row.name), field.name))
            assert getattr(row, field.name) == expected


def test_a_ninth_action_is_refused_and_the_click_counts() -> None:
    names = ", ".join(f"{{name: did_{n}}}" for n in range(MAX_ACTIONS))
    (problem,) = problems_of(f"actions: [{names}]")
    assert problem.startswith("actions: 9 of them, at most 8 ") and "did_7" in problem


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text("heads: [click]\n")
    assert path_of(tmp_path) == tmp_path / "headrace.yaml" == path_of(tmp_path / "headrace.yaml")
    assert load(str(tmp_path)).path == str(tmp_path / "headrace.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("heads: [", "not YAML"),
        ("a: 1\na: 2", "not YAML: the key 'a' is there 2 times"),
        ("seen: {policy: after, after: 1d, after: 2d}", "the key 'after' is there 2 times"),
        ("- heads", "got ['heads'], expected sections by name"),
        ("heads: !!python/object:os.system x", "not YAML"),
    ],
)
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "headrace.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and problem in said and "\n" not in said


def test_a_file_that_is_not_there_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; .* `headrace init FOLDER` writes one"):
        load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "text",
    ["policy: never_again", "policy: always, strict: true", "policy: after, after: 36h",
     "policy: after_purchase", "policy: after, after: 90s, strict: true"],
)  # fmt: skip
def test_the_policy_of_seen_items_is_the_setting_that_serving_reads(text: str) -> None:
    seen = parsed(f"seen: {{{text}}}").seen
    read = seen_policy(seen.text)
    assert (read.policy, read.after_s, read.strict) == (seen.policy, seen.after_s, seen.strict)
