"""Quality by slice, from the trainer's document to the commands and the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from headrace import cli, config
from headrace.clock import now_ms
from headrace.config import Settings
from headrace.monitoring.documents import Quality, TrainDocument
from headrace.monitoring.exporter import HealthCollector
from headrace.monitoring.status import StatusBoard
from headrace.services.ports import free_port
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

QUALITY = {
    "all": Quality(samples=9_000, auc=0.75, normalized_entropy=0.9, calibration=1.01),
    "new_items": Quality(samples=3, auc=None, normalized_entropy=None, calibration=None),
    "surface:[/red]": Quality(samples=1_204, auc=0.5, normalized_entropy=1.1, calibration=0.9),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Of a platform of which the trainer alone has reported."""
    folder = tmp_path_factory.mktemp("quality")
    with start_redis(folder) as server, Redis.from_url(server.url) as redis:
        document = TrainDocument(lag=0, samples=9_000, version=3, quality=QUALITY)
        StatusBoard(redis, "quality").write(document, now_ms())
        yield config.settings(
            namespace="quality", redis_url=server.url, home=str(folder), port=free_port()
        )


@pytest.fixture
def named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings, as a user's environment names them."""
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("HEADRACE_NAMESPACE", settings.namespace)
    monkeypatch.setenv("HEADRACE_HOME", settings.home)
    monkeypatch.setenv("HEADRACE_PORT", str(settings.http.port))


@pytest.mark.parametrize("command", [["status"], ["features", "status"]])
def test_the_commands_show_a_row_for_each_slice_and_the_same_as_json(
    command: list[str], named: None, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(command)
    shown = capsys.readouterr().out
    for text in ("progressive quality", "9,000", "0.7500", "new_items", "surface:[/red]"):
        assert text in shown, text
    cli.main([*command, "--json"])
    quality = json.loads(capsys.readouterr().out)["quality"]
    assert list(quality) == list(QUALITY)
    assert quality["all"]["auc"] == 0.75 and quality["new_items"]["auc"] is None


def test_what_is_known_of_a_slice_is_scraped(settings: Settings) -> None:
    registry = CollectorRegistry()
    registry.register(HealthCollector(settings, now_ms))
    scraped = generate_latest(registry).decode()
    assert 'headrace_model_auc{slice="all"} 0.75' in scraped
    assert 'headrace_model_impressions{slice="new_items"} 3.0' in scraped
    assert 'headrace_model_auc{slice="new_items"}' not in scraped
