"""features.yaml: what a shop's own file adds and replaces, and what is wrong with it, at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.action import BUILT_IN
from headrace.application.sections import Application, read_sections
from headrace.errors import ConfigError
from headrace.features import schema
from headrace.features.aggregation.accumulators import Lifetime, Tiles
from headrace.features.aggregation.aggregators import LogNumber, Number
from headrace.features.aggregation.layout import Feature
from headrace.features.definitions.files import Definitions, load, read_definitions
from headrace.features.definitions.kinds import ACCUMULATORS, AGGREGATORS
from headrace.features.table import CROSSES, FEATURES

DAY_MS = 86_400_000
PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_features.md"
OWN = """
accumulators:
  fortnight: {kind: tiles, tile: 1d, num_tiles: 14, measures: [shown, purchase, amount]}
features:
  item_purchase_rate_14d:
    {entity: item, aggregator: rate, measure: purchase, over: fortnight, description: bought}
  user_paid_log:
    {entity: user, aggregator: log_sum, measure: amount, over: fortnight, description: paid}
"""
LIKES = "{entity: user, aggregator: sum, measure: like, over: life, description: likes}"


def read(folder: Path, text: str) -> tuple[Definitions, list[str]]:
    path = folder / "features.yaml"
    path.write_text(text)
    return read_definitions(path, Application())


def features(folder: Path, text: str) -> dict[str, Feature]:
    made, problems = read(folder, text)
    assert not problems
    return {one.name: one for one in (*made.features, *made.crosses)}


def test_the_built_in_file_is_the_table_that_was_there_before_it() -> None:
    assert (schema.STATE_SCHEMA, schema.INPUT_SCHEMA) == (3907941684, 2110197186)
    assert schema.VIEW_SCHEMA == 2855438239


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    made, problems = read(tmp_path, "")
    assert not problems and (made.features, made.crosses) == (FEATURES, CROSSES)


def test_rows_are_added_behind_those_that_are_built_in(tmp_path: Path) -> None:
    made, _ = read(tmp_path, OWN)
    assert made.features[: len(FEATURES)] == FEATURES
    bought, paid = made.features[len(FEATURES) :]
    assert isinstance(bought.aggregator.over, Tiles) and bought.ranked and bought.entity == "item"
    assert bought.aggregator.over.tile_ms == DAY_MS
    assert paid.aggregator.over is bought.aggregator.over, "they share its state"


def test_a_row_of_a_built_in_name_takes_its_place(tmp_path: Path) -> None:
    text = "features: {user_like_rate: {entity: user, aggregator: rate, measure: like, over: life,"
    made, problems = read(tmp_path, f"{text} prior: 0.5, description: other}}}}")
    assert not problems
    assert [one.name for one in made.features] == [one.name for one in FEATURES]
    (like,) = (one for one in made.features if one.name == "user_like_rate")
    assert like.description == "other"


def test_an_accumulator_of_a_built_in_name_is_that_of_all_who_read_it(tmp_path: Path) -> None:
    text = "accumulators: {hour: {kind: tiles, tile: 5m, num_tiles: 24}}"
    made = features(tmp_path, text)
    for name in ("user_click_rate_1h", "item_click_rate_1h"):
        assert made[name].aggregator.over == Tiles(DAY_MS // 288, 24)


def test_built_in_rows_can_be_left_out(tmp_path: Path) -> None:
    made = features(tmp_path, "without: [user_idle_log, category_rate_max]")
    assert len(made) == len(FEATURES) + len(CROSSES) - 2


def test_a_template_is_a_row_of_each_action_with_features(tmp_path: Path) -> None:
    text = f"""
features:
  "user_{{action}}s_{{often}}":
    {{each: action, but: [click], rare: {{often: seldom}}, other: {{often: often}}, row:
    {LIKES.replace("like", '"{action}"', 1).replace("likes", '"{words}, {prior}"')}}}
"""
    made = features(tmp_path, text)
    assert made["user_likes_seldom"].description == "likes, 0.02"
    assert made["user_long_views_often"].description == "long views, 0.3"
    assert "user_purchases_seldom" not in made, "it is only told"


def test_numbers_that_are_declared_are_features_of_a_candidate() -> None:
    declared = {"hour": "number", "basket": {"kind": "number", "log": True}, "device": "word"}
    document = {"context": declared, "attributes": {"weight": {}}}
    application, problems = read_sections(document)
    assert not problems
    made = {one.name: one for one in load(None, application).crosses[len(CROSSES) :]}
    assert [*made] == ["context_hour", "context_basket", "item_number_weight"]
    assert isinstance(made["context_hour"].aggregator, Number)
    assert isinstance(made["context_basket"].aggregator, LogNumber)


def test_a_file_of_its_own_may_hold_all(tmp_path: Path) -> None:
    made, problems = read(tmp_path, f"builtin: false\nfeatures: {{user_likes: {LIKES}}}")
    assert problems[0].startswith("features.user_likes.over: got 'life', there is none")
    _, problems = read(tmp_path, "builtin: false")
    assert len(problems) == 6 and all("headrace itself reads it" in one for one in problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("feature: {}", "feature: unknown key (did you mean features?)"),
        ("features: [a]", "features: got ['a'], expected rows by name"),
        ("without: [nothing]", "without: got 'nothing', expected a name of a built-in feature"),
        ("without: [user_history]", "features.user_history: missing, headrace itself reads it"),
        ("accumulators: {a: {kind: tile}}", "accumulators.a.kind: got 'tile', expected one of"),
        ("accumulators: {a: {kind: tiles, num_tiles: 3}}", "accumulators.a.tile: missing"),
        ("accumulators: {a: {kind: tiles, tile: 3, num_tiles: 3}}", "accumulators.a.tile: got 3, "),
        ("accumulators: {a: {kind: tiles, tile: 1h, num_tiles: 999}}", "a.num_tiles: got 999, "),
        ("accumulators: {a: {kind: lifetime, measures: [x]}}", "a.measures: got x, expected some"),
        ("accumulators: {a: {kind: lifetime, of: last}}", "accumulators.a.of: unknown key"),
        ("accumulators: {a: {kind: recent, of: day, num: 2}}", "a.of: got day, of the kind tiles"),
        ("accumulators: {a: {kind: recent, of: last, num: 65}}", "a.num: got 65, expected at most"),
        ("features: {user_x: {entity: user}}", "features.user_x.aggregator: got None, expected"),
        (
            f"features: {{user_x: {LIKES.replace('sum', 'rate')[:-1]}, strength: 0}}}}",
            "features.user_x.default: missing, the ranker reads it, and it may have no value",
        ),
        (f"features: {{x: {LIKES}}}", "features.x: got the name x, expected user_ before it"),
        (f"features: {{user_X: {LIKES}}}", "features.user_X: got the name 'user_X', expected"),
        ("features: {user_x: 3}", "features.user_x: got 3, expected the keys aggregator"),
        (
            f"features: {{user_x: {LIKES.replace('life', 'day')}}}",
            "features.user_x.measure: got like, expected some of shown, click",
        ),
        (
            f"features: {{user_x: {LIKES.replace('life', 'on_surface')}}}",
            "features.user_x.over: got on_surface, which is read of a candidate",
        ),
        (f"features: {{user_x: {LIKES[:-1]}, prior: 3}}}}", "features.user_x.prior: unknown key"),
        (
            f"features: {{user_history: {LIKES}}}",
            "features.user_history: got Sum over Lifetime of like",
        ),
        ('features: {"user_{acton}": {each: action, row: {}}}', "expected {action} in the name"),
        (
            'features: {"user_{action}": {each: action, row: {over: "{x}"}}}',
            "features.user_{action}: got {x}, expected one of the variables action, words, prior",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(tmp_path: Path, text: str, problem: str) -> None:
    _, problems = read(tmp_path, text)
    assert any(problem in one for one in problems), problems


def test_states_have_a_size_that_fits(tmp_path: Path) -> None:
    def problems_of(*sizes: int) -> list[str]:
        kept, rows = "", ""
        for n, size in enumerate(sizes):
            kept += f"  w{n}: {{kind: by_word, field: surface, num_slots: {size}, measures: [like, "
            kept += f"click, value, amount]}}\n  h{n}: {{kind: here, of: w{n}, whose: user}}\n"
            rows += f"  c{n}: {{entity: candidate, aggregator: sum, measure: like, over: h{n}, "
            rows += "description: likes}\n"
        return read(tmp_path, f"accumulators:\n{kept}features:\n{rows}")[1]

    assert not problems_of(*[256] * 9), "equal ones are one"
    (problem,) = problems_of(*range(248, 257))
    assert problem.startswith("accumulators: got 3") and "bytes for each user" in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text("accumulators: {a: {kind: b}}\nfeatures: {c: 3, d: 4}\nwithout: [e]\n")
    with pytest.raises(ConfigError) as caught:
        load(path, Application())
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and said.count("; ") == 3


def test_features_are_those_of_the_actions_that_a_shop_declares() -> None:
    made = load(None, Application(actions=(BUILT_IN["click"], BUILT_IN["purchase"])))
    names = {one.name for one in made.features}
    assert "user_purchase_rate_last20" in names and "user_like_rate" not in names
    (rate,) = (one for one in made.features if one.name == "item_purchase_rate")
    assert rate.aggregator.over == Lifetime(("shown", "click", "purchase"))


def test_the_examples_on_the_page_can_be_read(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    declared, _ = read_sections({"context": {"device": "word"}})
    kept = blocks[0][: blocks[0].index("features:")]
    for block in (blocks[0], blocks[1], f"{kept}features:\n{blocks[2]}"):
        path = tmp_path / "features.yaml"
        path.write_text(block)
        assert read_definitions(path, declared)[1] == []


def test_every_kind_is_on_the_page() -> None:
    page = PAGE.read_text()
    assert not [kind for kind in (*ACCUMULATORS, *AGGREGATORS) if f"`{kind}`" not in page]


def test_a_command_says_what_is_wrong_before_it_does_anything(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text("actions: [click, purchase]\n")
    (tmp_path / "features.yaml").write_text(OWN)
    assert "item_purchase_rate_14d" in told(tmp_path, 0)
    (tmp_path / "features.yaml").write_text("features: {a: 1}\nwithout: [b]\n")
    said = told(tmp_path, 2)
    assert said.startswith(f"headrace features: {tmp_path}/features.yaml: ")
    assert "features.a: got 1" in said and "without: got 'b'" in said and said.count("\n") == 1


def told(folder: Path, code: int) -> str:
    words = [sys.executable, "-m", "headrace", "features", "list"]
    environ = {**os.environ, "HEADRACE_APP": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stderr or done.stdout
