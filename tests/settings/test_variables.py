"""Variables: which are settings, which are none, and which are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace import config
from headrace.config import Settings, load
from headrace.errors import ConfigError
from headrace.services.processes.owner import MARK
from headrace.settings.variables import NO_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
OF_SERVICES = {  # of two services that are called headrace and headrace-metrics
    "HEADRACE_SERVICE_HOST": "10.0.0.7",
    "HEADRACE_SERVICE_PORT": "8000",
    "HEADRACE_SERVICE_PORT_HTTP": "8000",
    "HEADRACE_PORT": "tcp://10.0.0.7:8000",
    "HEADRACE_PORT_8000_TCP": "tcp://10.0.0.7:8000",
    "HEADRACE_PORT_8000_TCP_PROTO": "tcp",
    "HEADRACE_PORT_8000_TCP_PORT": "8000",
    "HEADRACE_PORT_8000_TCP_ADDR": "10.0.0.7",
    "HEADRACE_METRICS_SERVICE_HOST": "10.0.0.8",
    "HEADRACE_METRICS_SERVICE_PORT": "9464",
    "HEADRACE_METRICS_PORT": "udp://10.0.0.8:9464",
    "HEADRACE_METRICS_PORT_9464_UDP": "udp://10.0.0.8:9464",
    "HEADRACE_METRICS_PORT_9464_UDP_ADDR": "10.0.0.8",
}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HEADRACE_NUM_PARTITION", "HEADRACE_NUM_PARTITIONS"),
        ("HEADRACE_REDIS_URL", "REDIS_URL"),
        ("HEADRACE_KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP"),
        ("HEADRACE_STREAM_NUM_WORKERS", "HEADRACE_NUM_STREAM_WORKERS"),
        ("HEADRACE_KAFKA_PASSWD", "HEADRACE_KAFKA_PASSWORD"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_one_that_was_meant(
    name: str, meant: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({name: "hunter2"})
    assert str(caught.value) == f"{name}: there is no such setting; did you mean {meant}?"


def test_a_variable_that_is_like_none_is_refused_with_the_page_that_has_all() -> None:
    with pytest.raises(ConfigError, match=r"HEADRACE_XYZZY: .*; unset it; docs/settings\.md"):
        load({"HEADRACE_XYZZY": "1"})
    assert (ROOT / "docs" / "settings.md").is_file()


def test_unknown_and_wrong_variables_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"HEADRACE_PROT": "1", "HEADRACE_BATCH_SIZE": "0", "HEADRACE_HOTS": "a"})
    told = str(caught.value).split("; ")
    assert [one.split(":")[0].split("=")[0] for one in told if one.startswith("HEADRACE")] == [
        "HEADRACE_PROT",
        "HEADRACE_BATCH_SIZE",
        "HEADRACE_HOTS",
    ]


def test_what_is_empty_or_of_others_is_no_setting() -> None:
    assert load({"HEADRACE_XYZZY": "", "PORT": "1", "KAFKA_HOME": "/srv", "HEADRACES": "1"}) == (
        Settings()
    )


def test_variables_of_the_project_that_are_no_settings_are_passed_over() -> None:
    marks = {MARK, *re.findall(r'MARK="(HEADRACE_\w+)=', (ROOT / ".ci" / "run").read_text())}
    assert len(marks) == 2 and not NO_SETTINGS & config.FIELDS.keys()
    assert load(dict.fromkeys({*marks, "HEADRACE_TEST_DATA"}, "1")) == Settings()


def test_addresses_of_services_that_kubernetes_gives_are_no_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(OF_SERVICES) == Settings()
    for name, text in OF_SERVICES.items():
        monkeypatch.setenv(name, text)
    assert not config.given() and not config.is_given("port")
    config.export(config.settings(port=8123, metrics_port=9464))
    assert (load().http.port, load().http.metrics_port) == (8123, 9464)


@pytest.mark.parametrize("name", ["HEADRACE_PORT_8000", "HEADRACE_PORTS", "HEADRACE_SERVICE"])
def test_what_only_looks_like_an_address_of_a_service_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: there is no such setting"):
        load({name: "8000"})
    with pytest.raises(ConfigError, match="HEADRACE_PORT='8000/tcp'"):
        load({"HEADRACE_PORT": "8000/tcp"})
