"""Own features: a feature and a context field are added to a deployment's files, and its parts
start anew.

The parts run twice on the same servers, each time as a process: first with an application file of
actions alone, then with a features.yaml beside it and with a context.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

pytestmark = [pytest.mark.services, pytest.mark.loop]

PARTS = Path(__file__).with_name("own_features_parts.py")
NUM_EVENTS, BOUGHT = 60, 30
ACTIONS = "actions: [click, purchase]\n"
DECLARED = "context: {device: word, hour: number}\nattributes: {weight: {log: true}}\n"
FEATURES = """
accumulators:
  its_author: {kind: of_groups, of: life, groups: author}
features:
  author_click_rate:
    {entity: candidate, aggregator: rate, measure: click, over: its_author, description: "ever"}
  user_purchase_share:
    {entity: user, aggregator: rate, measure: purchase, over: life, prior: 0, strength: 0,
     default: 0, description: "purchases per impression, ever"}
"""
OWN = ("author_click_rate", "user_purchase_share", "context_hour", "item_number_weight")
KEPT = "user_impressions_log"
CONTEXT = {"device": "phone", "hour": 13.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """What the parts said before the files were changed, and after."""
    folder = tmp_path_factory.mktemp("own")
    shop = folder / "shop"
    shop.mkdir()
    plain = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
    plain.pop("KAFKA_HOME", None)
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", plain) as broker:
        environ = {
            **plain,
            "HEADRACE_APP": str(shop),
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NUM_PARTITIONS": "1",
            "HEADRACE_PUBLISH_EVERY_S": "0.01",
            "REDIS_URL": redis.url,
            "KAFKA_BOOTSTRAP": broker.bootstrap,
        }
        (shop / "headrace.yaml").write_text(ACTIONS)
        before = parts(environ, 0, {}, KEPT, *OWN)
        (shop / "headrace.yaml").write_text(ACTIONS + DECLARED)
        (shop / "features.yaml").write_text(FEATURES)
        yield [before, parts(environ, NUM_EVENTS, CONTEXT, KEPT, *OWN)]


def parts(
    environ: dict[str, str], first: int, context: dict[str, Any], *names: str
) -> dict[str, Any]:
    command = [sys.executable, str(PARTS), str(first), json.dumps(context), *names]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4_000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_before_the_change_nothing_of_it_is_there(runs: list[dict[str, Any]]) -> None:
    before, _ = runs
    assert before["served"]["version"] == 1 and not before["broken"]
    assert not {*OWN} & {*before["served"]["dense"], *before["values"], *before["trained"]}
    assert before["refused"][0].startswith("context.colour: a field of the context that is not")


def test_kept_features_go_on_and_new_ones_begin(runs: list[dict[str, Any]]) -> None:
    before, after = runs
    assert before["values"][KEPT] == pytest.approx([math.log1p(2 * NUM_EVENTS)])
    assert after["values"][KEPT] == pytest.approx([math.log1p(4 * NUM_EVENTS)])
    assert after["values"]["user_purchase_share"] == [0.5]


def test_the_view_in_feast_has_the_feature(runs: list[dict[str, Any]]) -> None:
    before, after = runs
    assert [*after["columns"]].count("user_purchase_share") == 1
    assert set(after["columns"]) - set(before["columns"]) == {"user_purchase_share"}


def test_the_feature_and_the_context_are_in_slates(runs: list[dict[str, Any]]) -> None:
    served = runs[1]["served"]
    assert served["version"] > 1 and served["degraded"] == ["seen_again"]
    assert served["context"] == CONTEXT
    assert served["dense"]["context_hour"] == [13.0] * 3
    assert served["dense"]["user_purchase_share"] == [0.5] * 3
    weights = [math.log1p(int(item[1:]) + 0.5) for item in served["items"]]
    assert served["dense"]["item_number_weight"] == pytest.approx(weights)
    rates = [(5 + 2 * NUM_EVENTS * (int(item[1:]) % 2 == 0)) / (10 + 2 * NUM_EVENTS)
             for item in served["items"]]  # fmt: skip
    assert served["dense"]["author_click_rate"] == pytest.approx(rates)


def test_they_are_in_training_sets_and_trained_on(runs: list[dict[str, Any]]) -> None:
    before, after = runs
    assert before["learned"] == after["learned"] == 2 * NUM_EVENTS, "a new model of other inputs"
    assert before["contexts"] == [{}] * NUM_EVENTS and after["contexts"] == [CONTEXT] * NUM_EVENTS
    assert set(after["trained"]["context_hour"]) == {13.0}
    assert after["trained"]["user_purchase_share"][-1] == pytest.approx(0.5, abs=0.02)
    assert len(set(after["trained"]["item_number_weight"])) == 6


def test_they_agree_with_a_replay(runs: list[dict[str, Any]]) -> None:
    after = runs[1]
    assert not after["parity"]["differs"] and not after["broken"]
    of_samples = after["parity"]["groups"]["as of"]
    for name in (*OWN, "context.device"):
        assert of_samples[name]["compared"] > 0 and not of_samples[name]["mismatches"], name
    assert "user_purchase_share" in after["parity"]["groups"]["online user"]


def test_explanations_have_effects_of_them(runs: list[dict[str, Any]]) -> None:
    before, after = runs
    own = {"context", "item_numbers", "crossed_features"}
    assert not own & {*before["served"]["effects"]}
    assert own <= {*after["served"]["effects"]}
    assert after["served"]["effects"]["context"] != 0


def test_what_is_not_as_declared_is_refused_by_its_field(runs: list[dict[str, Any]]) -> None:
    colour, hour = runs[1]["refused"]
    assert colour.startswith("context.colour: ") and "known: device, hour" in colour
    assert hour == "context.hour: got 'noon', expected a number"
