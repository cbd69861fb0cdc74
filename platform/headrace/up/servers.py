"""The servers and settings of one `headrace up`: what is not configured is started."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from headrace import config
from headrace.api_keys.key import new_secret
from headrace.broker import create_topics
from headrace.errors import ConfigError
from headrace.services.haproxy import serve_environment, short_folder
from headrace.services.kafka import check_broker, start_broker
from headrace.services.process import ServerProcess
from headrace.services.ray_node import start_ray
from headrace.services.redis import masked, start_redis
from headrace.services.redis_condition import check_store
from headrace.settings_text import require_home
from headrace.up.options import UpOptions
from headrace.up.parts import Part
from headrace.up.view import View

CLICK_WINDOW_S = 5.0  # someone who tries the platform does not wait for the default of 5 minutes
NUM_CPUS = 4  # what Ray schedules; see start_ray
QUALITY_WINDOWS = 100  # points of the quality curves over the log


def settings_of_run(
    options: UpOptions, settings: config.Settings, stack: ExitStack
) -> config.Settings:
    """A namespace, a folder and windows of this run's own, where none were asked for."""
    changes: dict[str, object] = {
        "progressive_window": max(1, options.dataset.num_events // QUALITY_WINDOWS)
    }
    if options.namespace:
        changes["namespace"] = options.namespace
    elif not config.is_given("namespace"):
        changes["namespace"] = f"up_{secrets.token_hex(4)}"
    if not config.is_given("home"):
        changes["home"] = folder = tempfile.mkdtemp(prefix="headrace-up-")
        stack.push(lambda kind, *_: None if kind else shutil.rmtree(folder, ignore_errors=True))
    if not config.is_given("own_key"):
        changes["own_key"] = new_secret()
    if not config.is_given("click_window_s"):
        changes["click_window_s"] = CLICK_WINDOW_S
    if not settings.campaigns and options.dataset.name == "movielens":
        changes["campaigns"] = str(config.repository_path("serving") / "campaigns.yaml")
    changed = config.changed(settings, **changes)
    require_home(changed.home_path)
    return changed


def start_servers(
    settings: config.Settings, stack: ExitStack, view: View
) -> tuple[config.Settings, dict[str, str]]:
    """Redis and a broker where no address is configured; the environment of the parts."""
    if settings.kafka_security_protocol != "PLAINTEXT" and not config.is_given("kafka_bootstrap"):
        raise ConfigError(
            f"{config.variable('kafka_security_protocol')}={settings.kafka_security_protocol} is "
            "for a broker that runs: name it with KAFKA_BOOTSTRAP, or unset it to have one started"
        )
    for warning in settings.http_warnings():
        view.say(f"warning: {warning}")
    settings.require_tls_files()
    environ = config.inherited()
    folder = settings.home_path / "servers"
    if config.is_given("redis_url"):
        for warning in check_store(settings):
            view.say(f"warning: {warning}")
        view.say(f"using Redis at {masked(settings.redis_url)}")
    else:
        redis = stack.enter_context(start_redis(folder / "redis"))
        settings = config.changed(settings, redis_url=redis.url)
        view.say(f"started Redis at {redis.url}")
    if config.is_given("kafka_bootstrap"):
        check_broker(settings.kafka_bootstrap, settings)
        view.say(f"using the broker at {settings.kafka_bootstrap}")
    else:
        broker = stack.enter_context(start_broker(folder / "kafka", environ))
        settings = config.changed(settings, kafka_bootstrap=broker.bootstrap)
        view.say(f"started a broker ({broker.kind}) at {broker.bootstrap}")
    haproxy = Path(stack.enter_context(short_folder()))
    environ |= {**config.environment(settings), **serve_environment(haproxy, settings)}
    return settings, environ


def start_materializing(
    options: UpOptions, settings: config.Settings, environ: dict[str, str], view: View
) -> Part:
    """Start putting the static features into the online store; Ray starts beside it."""
    dataset = options.dataset
    view.say(
        f"materializing {len(dataset.users):,} users and {len(dataset.items):,} items of "
        f"{dataset.name} with Feast"
    )
    view.say(f"topics and keys begin with {settings.namespace}")
    create_topics(settings)
    arguments = ["materialize", *options.data_arguments]
    part = Part("materialize", arguments, settings.home_path / "logs", environ)
    part.start()
    return part


def start_ray_beside(
    settings: config.Settings, environ: dict[str, str], view: View
) -> ServerProcess:
    """A Ray of our own; its address goes into the parts' environment."""
    environ |= config.local_ray()
    process, address = start_ray(settings.home_path / "servers" / "ray", environ, NUM_CPUS)
    environ["RAY_ADDRESS"] = address
    view.say(f"started Ray at {address}")
    return process
