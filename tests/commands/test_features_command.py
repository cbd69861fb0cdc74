"""`headrace features`: the table in text, one feature in full, and the state of the stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import cli
from headrace.features.table import CROSSES, FEATURES
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer, start_redis

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Redis nor a broker is to be found unless a test says so."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def said(capsys: Capture, *arguments: str) -> str:
    assert cli.main(["features", *arguments]) == 0
    return capsys.readouterr().out


def test_list_has_one_line_per_feature_and_cross(capsys: Capture) -> None:
    heading, *lines = said(capsys, "list").splitlines()
    assert heading.split()[:3] == ["name", "entity", "type"]
    assert [line.split()[0] for line in lines] == [row.name for row in (*FEATURES, *CROSSES)]
    (line,) = [line for line in lines if line.startswith("user_click_rate_1h ")]
    for answer in ("user", "float32", "last 1 h, by 10 min", "never", "clicks per impression"):
        assert answer in line


def test_list_in_markdown_is_the_page_of_the_documentation(capsys: Capture) -> None:
    assert said(capsys, "list", "--markdown") == PAGE.read_text()


def test_describe_says_what_is_shared_and_how_big_it_is(capsys: Capture) -> None:
    text = said(capsys, "describe", "user_click_rate_last3")
    assert "LastN(length=64)" in text and "user_history" in text and "bytes of a state" in text


def test_describe_of_an_unknown_feature_says_where_the_names_are(capsys: Capture) -> None:
    assert cli.main(["features", "describe", "nothing"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("headrace features: there is no feature 'nothing'")
    assert "headrace features list" in error and error.count("\n") == 1


def test_status_needs_redis_and_says_so(capsys: Capture) -> None:
    assert cli.main(["features", "status"]) == 2
    assert capsys.readouterr().err.startswith("headrace features: no Redis answers at ")


@pytest.mark.services
def test_status_before_any_worker_shows_every_view_without_numbers(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("REDIS_URL", redis.url)
    assert "item_activity" in said(capsys, "status")
    document = json.loads(said(capsys, "status", "--json", "--new-reference"))
    assert document["num_workers"] == 0
    assert set(document["views"]) == {f"{feature.entity}_activity" for feature in FEATURES}
