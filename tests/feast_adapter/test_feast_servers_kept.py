"""Feast's servers, which ask for no keys, stay on loopback."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigError
from headrace.feast_adapter.servers import kept_on_loopback


@pytest.mark.parametrize("command", ["serve", "ui", "serve_offline", "serve_lineage"])
@pytest.mark.parametrize("flags", [[], ["--port", "6566"]])
def test_a_server_of_no_host_gets_the_loopback_address(command: str, flags: list[str]) -> None:
    words = ["--log-level", "serve", command, *flags]
    assert kept_on_loopback(words) == [*words, "--host", "127.0.0.1"]


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--host", "localhost"],
        ["serve", "-h", "127.0.0.1"],
        ["ui", "--host=::1"],
        ["listen", "--address", "localhost:50051"],
        ["serve_registry", "--rest-api", "--no-grpc", "--host", "localhost"],
        ["apply"],
        ["materialize-incremental", "2026-01-01T00:00:00"],
        ["--chdir", "ui"],
        ["serve", "--help"],
        ["registry", "serve"],
        [],
    ],
)
def test_what_listens_nowhere_else_is_left_as_it_is(words: list[str]) -> None:
    assert kept_on_loopback(words) == words


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--host", "0.0.0.0"],
        ["serve", "--host=10.0.0.7"],
        ["serve", "-h0.0.0.0"],
        ["serve", "-h", "127.0.0.1", "--host", "::"],
        ["-c", "elsewhere", "ui", "-h", "shop.example"],
        ["serve_registry"],
        ["serve_registry", "--rest-api", "--no-grpc", "--host", "::"],
        ["serve_transformations"],
        ["serve_transformations", "--no-grpc"],
        ["listen", "--address", "0.0.0.0:50051"],
        ["listen", "-a", "[::]:50051"],
    ],
)
def test_what_would_listen_elsewhere_is_refused_with_what_to_do(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="ssh -L"):
        kept_on_loopback(words)
