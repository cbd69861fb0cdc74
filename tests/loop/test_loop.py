"""The whole loop as a user meets it: real servers, real processes, HTTP, and `kill -9`.

The tests run in order on one platform: it replays, loses processes, reports, serves and ends.
"""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest
from platform_run import PlatformRun

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

NUM_RATINGS = 12_000
ONE_GENRE = [("219", "Horror"), ("201", "Horror"), ("200", "Horror")]


def recommend(platform: PlatformRun, user_id: str, **more: Any) -> dict[str, Any]:
    status, slate = platform.post("/v1/recommend", {"user_id": user_id, **more})
    assert status == 200, slate
    return slate


def items(slate: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in slate["items"]]


def test_nothing_listens_beyond_loopback(platform: PlatformRun) -> None:
    ours = {process.pid for process in platform.processes()}
    listening = {
        connection.laddr
        for connection in psutil.net_connections("inet")
        if connection.pid in ours and connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 10
    assert not {a for a in listening if a.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")}


@pytest.mark.parametrize("title", ["ray::StreamWorkerActor", "ray::RayTrainWorker"])
def test_what_takes_bursts_has_one_heap(platform: PlatformRun, title: str) -> None:
    platform.wait_replayed(500)
    heaps = [process.environ()["MALLOC_ARENA_MAX"] for process in platform.titled(title)]
    assert set(heaps) == {"1"}


def test_totals_are_exact_though_processes_are_killed(platform: PlatformRun) -> None:
    platform.wait_replayed(2_000)
    platform.kill("ray::StreamWorkerActor")
    platform.wait_replayed(4_000)
    platform.kill("ray::RayTrainWorker")
    platform.wait_replayed(6_000)
    platform.kill("ray::ServeReplica")
    platform.wait_replayed(8_000)
    platform.kill("headrace.cli stream")
    platform.wait_replayed(9_500)
    platform.kill("headrace.cli train")
    report = platform.wait_report()
    assert report["events"] == {
        "replayed": NUM_RATINGS,
        "accepted": NUM_RATINGS,
        "rejected": 0,
        "duplicates": 0,
        "in_features": NUM_RATINGS,
        "samples": NUM_RATINGS,
    }
    assert [part["samples"] for part in report["progressive"]] == [NUM_RATINGS // 5] * 5


def test_the_report_has_every_key_and_the_model_learns(platform: PlatformRun) -> None:
    report = platform.wait_report()
    assert report.keys() == {
        *("events", "progressive", "progressive_actions", "progressive_slices"),
        "progressive_choices",
        *("models", "freshness_ms", "requests", "elapsed_s"),
    }
    first, *_, last = report["progressive"]
    assert last["auc"] > first["auc"]
    assert last["normalized_entropy"] < first["normalized_entropy"] < 1
    assert report["models"]["published"] >= report["models"]["served"] > 0
    for kind in ("feature", "model"):
        assert 0 < report["freshness_ms"][kind]["p50"] <= report["freshness_ms"][kind]["p99"]
    assert report["requests"]["sent"] >= report["requests"]["ok"] > 0
    assert report["elapsed_s"]["start"] > 0 and report["elapsed_s"]["replay"] > 0


def test_an_answer_names_its_request_its_model_and_its_stages(platform: PlatformRun) -> None:
    slate = recommend(platform, "259", record=False)
    assert slate["request_id"] and slate["model_version"] > 0 and slate["model_age_ms"] >= 0
    sources = ["neighbours", "two_tower", "covisited", "best_categories", "trending", "sources"]
    stages = ["hydrate", *sources, "merge", "filters", "refill"]
    assert [*slate["stage_ms"]] == [*stages, "rank", "rerank", "explore", "answer", "total"]
    assert len(slate["items"]) == 10 and all(item["title"] for item in slate["items"])
    assert not slate["degraded"]
    probabilities = [item["p_click"] for item in slate["items"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_two_users_get_different_slates(platform: PlatformRun) -> None:
    one, other = (recommend(platform, user_id, record=False) for user_id in ("259", "13"))
    assert items(one) != items(other)


def test_an_unknown_user_gets_a_slate(platform: PlatformRun) -> None:
    assert len(recommend(platform, "nobody-yet", record=False)["items"]) == 10


def test_clicks_change_the_slate_within_a_second_and_the_model_within_fifteen(
    platform: PlatformRun,
) -> None:
    before = recommend(platform, "259", num_items=20, record=False)
    clicks = [{"type": "click", "user_id": "259", "item_id": item_id} for item_id, _ in ONE_GENRE]
    clicked = time.monotonic()
    status, answer = platform.post("/v1/events", clicks)
    assert (status, answer["accepted"]) == (202, 3)

    while items(recommend(platform, "259", num_items=20, record=False)) == items(before):
        assert time.monotonic() - clicked < 1.0, "the slate is the same a second after the clicks"
    while (after := recommend(platform, "259", record=False))["model_version"] == before[
        "model_version"
    ]:
        assert time.monotonic() - clicked < 15.0, "the model is the same 15 s after the clicks"
        time.sleep(0.1)
    assert after["model_version"] > before["model_version"]
    assert not set(items(after)) & {item_id for item_id, _ in ONE_GENRE}


def test_a_recorded_slate_and_its_click_become_samples(platform: PlatformRun) -> None:
    before = recommend(platform, "13", record=False)
    slate = recommend(platform, "13")
    click = {
        "type": "click",
        "user_id": "13",
        "item_id": items(slate)[0],
        "request_id": slate["request_id"],
    }
    assert platform.post("/v1/events", click)[0] == 202
    deadline = time.monotonic() + 25
    while recommend(platform, "13", record=False)["model_version"] <= before["model_version"]:
        assert time.monotonic() < deadline, "the joined sample did not reach the model"
        time.sleep(0.2)


def test_ads_pay_the_second_price_for_targeted_campaigns(platform: PlatformRun) -> None:
    status, answer = platform.post(
        "/v1/ads", {"user_id": "259", "num_ads": 3, "categories": ["Sci-Fi"]}
    )
    assert status == 200
    ads = answer["ads"]
    assert len(ads) == 3 and answer["model_version"] > 0 and answer["request_id"]
    for ad, below in zip(ads, [*ads[1:], None], strict=True):
        assert ad["price_micros"] <= -(-ad["ecpm_micros"] // 1_000)
        if below:
            assert ad["price_micros"] == -(-below["ecpm_micros"] // 1_000)
    assert "star-wars" in {ad["campaign_id"] for ad in ads}
    assert "scream" not in {ad["campaign_id"] for ad in ads}


def test_ads_have_the_probabilities_of_their_surface(platform: PlatformRun) -> None:
    def ask(**more: str) -> tuple[int, dict[str, float]]:
        asked = {"user_id": "259", "num_ads": 10, "categories": ["Sci-Fi"], **more}
        status, answer = platform.post("/v1/ads", asked)
        assert status == 200, answer
        return answer["model_version"], {ad["item_id"]: ad["p_click"] for ad in answer["ads"]}

    for _ in range(20):  # until no new version comes in between
        plain, home, search = ask(), ask(surface="home"), ask(surface="search")
        if plain[0] == search[0]:
            break
    # What they did gets older from request to request, which moves the sixth digit.
    assert plain[1] == pytest.approx(home[1], rel=1e-4) and home[1].keys() == search[1].keys()
    assert home[1] != pytest.approx(search[1], rel=1e-4)  # nobody has done anything on `search`


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/events", b"{not json", "$"),
        ("/v1/events", {"type": "click", "item_id": "1"}, "user_id"),
        ("/v1/events", {"type": "click", "user_id": "1", "item_id": 1}, "item_id"),
        ("/v1/events", {"type": "click", "user_id": "1", "item_id": "1", "version": 9}, "version"),
        ("/v1/events", {"type": "purchase", "user_id": "1"}, "type"),
        (
            "/v1/events",
            {"type": "click", "user_id": "1", "item_id": "1", "event_time_ms": 4_000_000_000_000},
            "event_time_ms",
        ),
        (
            "/v1/events",
            [
                {"type": "click", "user_id": "1", "item_id": "1"},
                {"type": "click", "user_id": "1", "item_id": "1", "event_time_ms": "now"},
            ],
            "[1].event_time_ms",
        ),
        ("/v1/recommend", {"num_items": 3}, "user_id"),
        ("/v1/recommend", {"user_id": "1", "num_items": 0}, "num_items"),
        ("/v1/recommend", {"user_id": "1", "surface": 5}, "surface"),
        ("/v1/ads", {"user_id": "1", "slots": 2}, "slots"),
        ("/v1/ads", {"user_id": "1", "surface": 5}, "surface"),
    ],
)
def test_bad_requests_are_answered_with_the_field_at_fault(
    platform: PlatformRun, path: str, body: Any, field: str
) -> None:
    status, answer = platform.post(path, body)
    assert (status, answer["field"]) == (422, field)
    assert answer["error"]


def test_an_unknown_path_is_answered_with_the_known_ones(platform: PlatformRun) -> None:
    status, answer = platform.post("/v2/recommend", {})
    assert status == 404 and "POST /v1/recommend" in answer["error"]


def test_ctrl_c_ends_everything(platform: PlatformRun) -> None:
    assert platform.interrupt() == 0
    _, left = psutil.wait_procs(list(platform.seen), timeout=10)
    assert not left
