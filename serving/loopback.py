"""Keeps a replica's own server off the network where Ray runs on loopback.

Every Ray Serve replica opens a gRPC port for calls between deployments on all interfaces, whatever
address its node has. headrace has one deployment and never uses it.
"""

from __future__ import annotations

from typing import Any

import ray.util
from ray.serve._private import replica


def keep_on_loopback() -> None:
    """Bind this replica's gRPC port to 127.0.0.1 if the Ray node is there.

    Call it in the deployment's constructor: the port is opened after that.
    """
    if ray.util.get_node_ip_address() != "127.0.0.1":
        return
    add_port = replica.add_port_to_grpc_server

    def add_loopback_port(server: Any, address: str) -> Any:
        return add_port(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = add_loopback_port
