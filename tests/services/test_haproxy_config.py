"""HAProxy's configuration as Ray Serve writes it, completed, and taken by the real program."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace import config
from headrace.errors import ConfigError
from headrace.services.haproxy import serve_environment
from headrace.services.ports import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray Serve's own, about pydantic
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

Configure = Callable[[list[ServerConfig]], str]
REPLICA = ServerConfig("replica-1", "127.0.0.1", 30_000)
PROXY = ServerConfig("proxy", "127.0.0.1", 8_500)
RAYS = """global
    maxconn 9
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend default_backend
backend default_backend
    http-request return status 404
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return serve_environment(tmp_path)


@pytest.fixture
def configure(tmp_path: Path, environ: dict[str, str]) -> Configure:
    """Writes the configuration for these replicas and lets the script check it."""

    def run(replicas: list[ServerConfig]) -> str:
        backends = {}
        if replicas:
            backend = BackendConfig("shop", "/", servers=replicas, fallback_server=PROXY)
            backends = {"shop": backend}
        written = HAProxyConfig(
            socket_path=str(tmp_path / "admin.sock"),
            server_state_base=str(tmp_path),
            http_options=HTTPOptions(host="127.0.0.1", port=free_port()),
        )
        path = tmp_path / "haproxy.cfg"
        api = HAProxyApi(cfg=written, backend_configs=backends, config_file_path=str(path))
        api._generate_config_file_internal()
        script = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
        done = subprocess.run([script, "-c", "-f", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return path.read_text()

    return run


def test_the_program_takes_what_is_made_of_rays_configuration(configure: Configure) -> None:
    text = configure([REPLICA])
    assert "timeout http-request 5s" in text and "wait-for-body" in text
    assert re.search(r"^\s+server replica-1 .* check ", text, re.MULTILINE)


def test_replicas_get_no_more_slates_than_they_have_places_for(configure: Configure) -> None:
    text = configure([REPLICA])
    slates = text.partition("backend shop-slates\n")[2]
    assert re.search(r"^\s+server replica-1 .* maxconn 24$", slates, re.MULTILINE)
    uses = re.findall(r"^\s+use_backend (\S+)", text, re.MULTILINE)
    assert uses == ["shop-slates", "shop"]
    assert re.search(r"^\s+default_backend shop$", text, re.MULTILINE)  # of `OPTIONS *` too


def test_requests_carry_the_name_of_their_platform(
    configure: Configure, environ: dict[str, str]
) -> None:
    name = environ["HEADRACE_PLATFORM"]
    assert len(name) == 16
    assert f"http-request set-header x-headrace-platform {name}" in configure([REPLICA])


def test_nothing_but_the_front_door_listens(configure: Configure) -> None:
    text = configure([REPLICA])
    assert len(re.findall(r"^\s+bind ", text, re.MULTILINE)) == 1
    assert "stats uri" not in text and "prometheus-exporter" not in text
    assert re.search(r"stats socket \S+ mode 600 level admin", text)  # Ray's own way in


@pytest.mark.parametrize(
    ("host", "bound"), [("0.0.0.0", "*"), ("10.0.0.7", "10.0.0.7"), ("::1", "::1"), ("::", "::")]
)
def test_it_listens_where_the_settings_say_and_replicas_do_not(
    tmp_path: Path, host: str, bound: str
) -> None:
    environ = serve_environment(tmp_path, config.settings(host=host).http)
    path = tmp_path / "haproxy.cfg"
    path.write_text(RAYS.format(port=free_port()))
    script = Path(environ["RAY_SERVE_HAPROXY_BINARY_PATH"]).read_text()
    completing = re.sub(r"^exec .*", "exec true", script, flags=re.MULTILINE)
    subprocess.run(["sh", "-c", completing, "haproxy", "-f", str(path)], check=True)
    assert re.search(rf"^    bind {re.escape(bound)}:\d+$", path.read_text(), re.MULTILINE)


def test_tls_is_of_today_and_the_key_is_found(tmp_path: Path) -> None:
    certificate, key = tmp_path / "its.crt", tmp_path / "its.key"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=shop"]
    subprocess.run(["openssl", *words, *files], check=True, capture_output=True)
    settings = config.settings(tls_cert=certificate, tls_key=key)
    environ = serve_environment(tmp_path, settings.http)
    path = tmp_path / "haproxy.cfg"
    path.write_text(RAYS.format(port=free_port()))
    script = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    done = subprocess.run([script, "-c", "-f", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ssl-min-ver TLSv1.2" in path.read_text()
    key.write_text("no key")
    with pytest.raises(ConfigError, match="HEADRACE_TLS_KEY=.*expected a certificate and its key"):
        serve_environment(tmp_path, settings.http)


def test_no_request_is_logged_to_whatever_listens(configure: Configure) -> None:
    targets = re.findall(r"^\s+log (?!global)(\S+)", configure([REPLICA]), re.MULTILINE)
    assert all(target.startswith("/") for target in targets)  # Ray's own counts, without paths


def test_rays_own_proxy_gets_no_requests(configure: Configure) -> None:
    assert "server proxy" not in configure([REPLICA])


def test_without_a_replica_the_answer_is_503_and_when_to_try_again(configure: Configure) -> None:
    (default,) = re.findall(r"^backend default_backend\n(.*)", configure([]), re.MULTILINE)
    assert "status 503" in default and "Retry-After" in default


def test_one_that_starts_anew_knows_the_replicas_of_the_last(
    configure: Configure, tmp_path: Path, environ: dict[str, str]
) -> None:
    configure([REPLICA])
    assert "server replica-1" in configure([])
    path = tmp_path / "haproxy.cfg"
    path.write_text(RAYS.format(port=free_port()))
    script = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    subprocess.run([script, "-c", "-f", str(path), "-sf", "1"], check=True, capture_output=True)
    assert "server replica-1" not in path.read_text()  # a reload says what there is now


def test_two_platforms_have_names_and_ports_of_their_own(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    one, other = map(serve_environment, folders)
    own = ("HEADRACE_PLATFORM", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT")
    own += ("RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH", "RAY_SERVE_HAPROXY_SOCKET_PATH")
    assert not [name for name in own if one[name] == other[name]]


def test_a_configuration_that_is_not_rays_ends_the_start(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "other.cfg").write_text("global\n    maxconn 5\n")
    script = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    done = subprocess.run(
        [script, "-c", "-f", str(tmp_path / "other.cfg")], capture_output=True, text=True
    )
    assert done.returncode == 1 and "has no backend default_backend" in done.stderr
