"""The contract of headrace's own views with Feast's: the same keys, schemas, rows and connections,
so that a process may read and write them without Feast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.repo_config import load_repo_config

from headrace import config
from headrace.catalogue.content import MODALITIES
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.features.online import configuration
from headrace.features.online.configuration import read_configuration
from headrace.features.online.views import ACTIVITY_VIEWS, STATIC_VIEWS, vector_view
from headrace.features.store.connection import parse_connection_string
from headrace.features.store.keys import PackedView
from headrace.services.redis import start_redis

ROOT = Path(__file__).resolve().parents[2]
OWN = {view.name: view for view in (*STATIC_VIEWS, *ACTIVITY_VIEWS, *map(vector_view, MODALITIES))}
SHOP = Dataset("shop", (Item("mug"),), (User("196", ("f",)),), lambda: iter(()), 0, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "redis:6379",
        "127.0.0.1:6379,db=2,ssl=true,password=secret",
        'a:7000,b:7001,c:7002,skip_full_coverage_check=true,password="1e5",username=me',
        "cache:6380,ssl=true,ssl_ca_certs=ca.pem,socket_timeout=0.5,password=a=b",
    ],
)
def test_a_connection_string_is_read_as_feast_reads_it(text: str) -> None:
    nodes, options = parse_connection_string(text)
    assert (nodes, options) == tuple(RedisOnlineStore._parse_connection_string(text))


def test_the_repositorys_configuration_is_read_as_feast_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "redis://:a%23b@cache:6379/0?x='y' # \"z\""
    settings = config.load({"HEADRACE_NAMESPACE": "1e5", "REDIS_URL": url})
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    folder = ROOT / "feature_repo"
    theirs = load_repo_config(folder, folder / configuration.FILE)
    ours = read_configuration(settings)
    assert (ours.project, ours.connection.string) == ("1e5", url)
    assert (theirs.project, theirs.online_store.connection_string) == ("1e5", url)
    assert ours.connection.redis_type == theirs.online_store.redis_type.value == "redis"
    assert ours.key_ttl_s == 0 and theirs.online_store.key_ttl_seconds is None


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The feature_store.yaml of a repository of its own."""
    monkeypatch.setattr(configuration, "room_path", lambda room: tmp_path)
    path = tmp_path / configuration.FILE
    path.write_text((ROOT / "feature_repo" / configuration.FILE).read_text())
    return path


def test_a_cluster_and_a_ttl_of_keys_are_read_as_feast_reads_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "  redis_type: redis_cluster\n  key_ttl_seconds: 100\n  skip_dedup"
    text = repository.read_text().replace("${REDIS_URL}", "$NODES,password=${NOT_SET}")
    repository.write_text(text.replace("  skip_dedup", options))
    monkeypatch.setenv("NODES", "a:7000,b:7001")
    for name, value in config.environment(Settings()).items():
        monkeypatch.setenv(name, value)
    ours, theirs = read_configuration(Settings()), load_repo_config(repository.parent, repository)
    assert ours.connection.string == theirs.online_store.connection_string
    assert ours.connection.string == "a:7000,b:7001,password=${NOT_SET}"
    assert ours.connection.redis_type == theirs.online_store.redis_type.value == "redis_cluster"
    assert ours.key_ttl_s == theirs.online_store.key_ttl_seconds == 100


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            configuration.PACKED,
            "redis",
            "'redis': expected",
        ),
        ("cache_mode: thread", "enable_online_feature_view_versioning: true", "expected false"),
        ("project:", "name:", "missing required field `project`"),
    ],
)
def test_a_configuration_whose_rows_are_not_ours_is_refused(
    repository: Path, old: str, new: str, said: str
) -> None:
    repository.write_text(repository.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=said):
        read_configuration(Settings())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The rows that Feast wrote and those that the online store wrote, by view."""
    folder = tmp_path_factory.mktemp("twice")
    program = str(Path(__file__).with_name("written_twice.py"))
    with start_redis(folder / "redis") as redis:
        settings = Settings(namespace="twice", home=str(folder / "home"), redis_url=redis.url)
        write_catalogue(SHOP, config.catalogue_path(settings), 1_767_225_600_000)
        environ = {**os.environ, **config.environment(settings)}
        done = subprocess.run(
            [sys.executable, program], env=environ, cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.services
def test_views_have_the_names_the_columns_and_the_ttls_of_those_in_feasts_registry(
    written: Any,
) -> None:
    views = msgspec.convert(written["views"], dict[str, PackedView])
    assert views == {name: own.packed("twice") for name, own in OWN.items()}
    assert len(views) == 6 + len(MODALITIES)


@pytest.mark.services
@pytest.mark.parametrize("view", [view.name for view in ACTIVITY_VIEWS])
def test_rows_are_byte_for_byte_those_that_feast_writes_and_each_reads_the_others(
    written: Any, view: str
) -> None:
    told = written["rows"][view]
    assert told["feast"] == told["ours"] and len(told["ours"]) == 3
    assert told["read_by_us"] == told["read_by_feast"] == told["rows"]


@pytest.mark.services
def test_profiles_are_byte_for_byte_those_that_feast_materializes(written: Any) -> None:
    told = written["rows"]["user_profile"]
    assert told["feast"] == told["ours"] and len(told["ours"]) == len(SHOP.users)
