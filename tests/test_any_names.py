"""Namespaces and homes of any characters: as they are, in every syntax that they are put into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import cli, config
from headrace.config import Settings
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

ROOT = Path(__file__).resolve().parents[1]
HOME = """it's # a: "home" {x} %41 $HOME ${PATH} \\n & ; | ` ~ , = ü 日本 🎬 - > ! @ (1)"""
NAMESPACES = ("2024", "no", "null", "1e5", "0x10", "on", "true", "0", "1_000", "y")
FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t7\t4\t9\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "7\tTwelve Monkeys\t1995\tDrama\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n",
}
IN_FEAST = """
from headrace.feast_adapter import first_import as before_feast
import json
from feast import FeatureStore
store = FeatureStore("feature_repo")
rows = store.get_online_features(["item_content:title"], [{"item_id": "7"}]).to_dict()
print(json.dumps([store.project, store.config.registry.path, rows["title"]]))
"""
IN_REGISTRY = """
import torch
from redis import Redis
from headrace import config
from headrace.broker.topics import create_topics
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import RankerConfig
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import load_weights
settings = config.load()
create_topics(settings)
publisher = Publisher(settings, Redis.from_url(settings.redis_url))
publisher.publish({"w": torch.ones(2)}, Manifest(
    version=0, uri="", sha256="", created_ms=1, schema=INPUT_SCHEMA,
    model=RankerConfig(num_dense=1), num_samples=1, newest_event_ms=1))
print(load_weights(Subscriber(settings).newest())["w"].sum().item())
"""


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_feast_reads_a_namespace_and_a_home_as_text(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feast.repo_config import load_repo_config

    home = tmp_path / HOME
    url = "redis://:a%23b@cache:6379/0?x='y' # \"z\""
    settings = config.load(
        {"HEADRACE_NAMESPACE": namespace, "HEADRACE_HOME": str(home), "REDIS_URL": url}
    )
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    read = load_repo_config(ROOT / "feature_repo", ROOT / "feature_repo" / "feature_store.yaml")
    assert read.project == namespace
    assert read.registry.path == f"{home}/registry.db"
    assert read.online_store.connection_string == url


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a platform whose home has every character, its servers' folders too."""
    folder = tmp_path_factory.mktemp("names")
    home = folder / f"{HOME} "
    data = folder / "data"
    data.mkdir()
    for name, text in FILES.items():
        (data / name).write_text(text)
    given = {name: value for name, value in os.environ.items() if name != "KAFKA_HOME"}
    with (
        start_redis(home / "servers" / "redis", keep="always") as redis,
        start_broker(home / "servers" / "kafka", given) as broker,
    ):
        settings = Settings(
            namespace="1e5",
            home=str(home),
            redis_url=redis.url,
            kafka_bootstrap=broker.bootstrap,
        )
        yield {**given, **config.environment(settings), "DATA": str(data), "HOME_OF_IT": str(home)}


def python(environ: dict[str, str], *arguments: str) -> str:
    """What Python prints, run in the root of the repository."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environ, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


@pytest.mark.services
def test_features_are_materialized_and_read_in_a_home_of_any_characters(
    environ: dict[str, str],
) -> None:
    command = ["materialize", "--dataset=movielens", f"--data={environ['DATA']}"]
    python(environ, "-m", "headrace.cli", *command)
    read = json.loads(python(environ, "-c", IN_FEAST).splitlines()[-1])
    assert read == ["1e5", f"{environ['HOME_OF_IT']}/registry.db", ["Twelve Monkeys"]]
    beside = {path.name for path in Path(environ["HOME_OF_IT"]).parent.iterdir()}
    assert beside == {"data", f"{HOME} "}


@pytest.mark.services
def test_a_model_is_published_and_loaded_in_a_home_of_any_characters(
    environ: dict[str, str],
) -> None:
    assert python(environ, "-c", IN_REGISTRY).split() == ["2.0"]
    files = {path.name for path in (Path(environ["HOME_OF_IT"]) / "models").iterdir()}
    assert files == {"1e5-00000001.pt", "1e5.versions.json"}


@pytest.mark.parametrize(
    "home", ["{tmp}/file", "{tmp}/file/below", "/proc/headrace", "/dev/null/x"]
)
@pytest.mark.parametrize("command", ["materialize", "train", "archive", "backfill", "encode"])
def test_a_home_that_cannot_be_written_is_said_at_once(
    home: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    path = home.format(tmp=tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", path)
    assert cli.main([command]) == 2
    said = capsys.readouterr().err
    assert f"HEADRACE_HOME={path!r} cannot be written (" in said and said.count("\n") == 1


def test_what_is_allowed_is_said_with_what_is_refused() -> None:
    for name, text, expected in [
        ("HEADRACE_NAMESPACE", "Shop 1", "Expected 1 to 48 of a-z, 0-9 and _, the first of them"),
        ("HEADRACE_HOME", "/srv/a?b", r"expected a path without \* \? \[ and ::"),
        ("HEADRACE_HOME", "/srv/a\tb", r"it has '\\t': expected printable characters in one line"),
        ("HEADRACE_MODEL_REGISTRY", "x", "Expected a URI such as s3://bucket/models, or an abs"),
    ]:
        with pytest.raises(config.ConfigError, match=expected):
            config.load({name: text})
