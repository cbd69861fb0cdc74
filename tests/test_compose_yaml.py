"""compose.yaml: both servers, on loopback only, with what the commands in its comments need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

PATH = Path(__file__).resolve().parents[1] / "compose.yaml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return loaded


def test_has_redis_and_kafka_on_loopback_at_the_default_ports(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items()}
    assert ports == {"redis": ["127.0.0.1:6379:6379"], "kafka": ["127.0.0.1:9092:9092"]}
    assert all("network_mode" not in service for service in compose["services"].values())


def test_each_service_has_a_fixed_image_a_health_check_and_a_volume_of_its_own(
    compose: dict[str, Any],
) -> None:
    mounted = []
    for service in compose["services"].values():
        tag = service["image"].partition(":")[2]
        assert tag and tag != "latest"
        assert service["healthcheck"]["test"][0] == "CMD-SHELL"
        mounted += [volume.partition(":")[0] for volume in service["volumes"]]
    assert sorted(mounted) == sorted(compose["volumes"])


def test_redis_keeps_its_data_and_kafka_writes_into_its_volume(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["redis"]["command"] == ["redis-server", "--appendonly", "yes"]
    folder = services["kafka"]["volumes"][0].partition(":")[2]
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"] == folder


def test_kafka_tells_clients_the_address_that_is_published(compose: dict[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:9092"
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert all(isinstance(value, str) for value in environment.values())


def test_the_comment_gives_the_same_addresses(compose: dict[str, Any]) -> None:
    text = PATH.read_text()
    assert "REDIS_URL=redis://127.0.0.1:6379/0 KAFKA_BOOTSTRAP=127.0.0.1:9092 make up" in text
