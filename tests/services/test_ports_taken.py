"""Ports: free ones are free, taken ones are named."""

from __future__ import annotations

import socket

import pytest

from headrace.errors import ServiceError
from headrace.services.ports import free_ports, require_free

pytestmark = pytest.mark.services


def test_free_ports_differ_and_can_be_used() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    require_free("127.0.0.1", ports[0], "the test")


@pytest.mark.parametrize("taken_on", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_one_line_with_the_flag_that_sets_another(taken_on: str) -> None:
    with socket.create_server((taken_on, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ServiceError) as caught:
            require_free("127.0.0.1", port, "the HTTP server", flag="--port")
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is taken (the HTTP server: Address already in use):"
        " stop what uses it or choose another with --port"
    )


def test_a_port_that_a_closed_server_used_is_free_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # our side closes first: the port is in TIME_WAIT
    require_free("127.0.0.1", port, "the test")


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ServiceError, match="the test cannot listen on port 9 of 198.51.100.7 "):
        require_free("198.51.100.7", 9, "the test")  # an address for documentation


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_a_number_that_is_no_port_is_named(port: int) -> None:
    with pytest.raises(ServiceError, match=f"on port {port}: expected 1-65535; choose another"):
        require_free("127.0.0.1", port, "the test")
