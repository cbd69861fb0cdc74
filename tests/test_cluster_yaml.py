"""cluster.yaml: valid by Ray's own schema, and its parts agree with each other."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from headrace.config import Settings, load

PATH = Path(__file__).resolve().parents[1] / "cluster.yaml"


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema file of the installed Ray, found without importing Ray."""
    spec = importlib.util.find_spec("ray")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "autoscaler" / "ray-schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_is_valid_by_the_schema_of_the_installed_ray(
    cluster: dict[str, Any], schema: dict[str, Any]
) -> None:
    jsonschema.validate(cluster, schema)


def test_the_schema_refuses_an_unknown_key(cluster: dict[str, Any], schema: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "head_start_commands": []}, schema)


def test_has_a_head_cpu_workers_and_gpu_workers_within_the_limit(cluster: dict[str, Any]) -> None:
    types = dict(cluster["available_node_types"])
    head = types.pop(cluster["head_node_type"])
    assert "min_workers" not in head and "max_workers" not in head
    assert sorted(bool(worker["resources"].get("GPU")) for worker in types.values()) == [0, 1]
    assert all(worker["min_workers"] <= worker["max_workers"] for worker in types.values())
    assert sum(worker["max_workers"] for worker in types.values()) <= cluster["max_workers"]


def test_images_carry_the_installed_ray_and_a_python_that_headrace_supports(
    cluster: dict[str, Any],
) -> None:
    images = re.findall(r"rayproject/ray:\S+", PATH.read_text())
    assert len(images) == 2
    for image in images:
        assert image.startswith(f"rayproject/ray:{metadata.version('ray')}-py311-")


def test_every_node_gets_settings_that_headrace_understands(cluster: dict[str, Any]) -> None:
    options = cluster["docker"]["run_options"]
    environ = dict(
        option.removeprefix("--env ").split("=", 1)
        for option in options
        if option.startswith("--env ")
    )
    settings = load(environ)
    default = Settings()
    assert settings.redis_url != default.redis_url
    assert settings.kafka_bootstrap != default.kafka_bootstrap
    assert any(option.startswith(f"--volume {settings.home}:") for option in options)


def test_every_node_installs_the_package_from_the_lock_at_the_mounted_path(
    cluster: dict[str, Any],
) -> None:
    assert list(cluster["file_mounts"]) == ["/home/ray/headrace"]
    assert cluster["setup_commands"] == ["cd ~/headrace && pip install -c constraints.txt -e ."]


def test_workers_join_the_port_that_the_head_opens(cluster: dict[str, Any]) -> None:
    head = cluster["head_start_ray_commands"][-1]
    worker = cluster["worker_start_ray_commands"][-1]
    port = re.search(r"--port=(\d+)", head)
    assert port is not None and f"--address=$RAY_HEAD_IP:{port[1]} " in worker
