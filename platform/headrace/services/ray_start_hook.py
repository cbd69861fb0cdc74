"""The hook of `ray start` (RAY_START_HOOK): a node of our own starts without Ray's client server.

Nobody connects through it, and the command line has no switch for it. It would be one process more,
which imports Ray and listens.
"""

from __future__ import annotations

from typing import Any, Final

HOOK: Final = "headrace.services.ray_start_hook.without_client_server"


def without_client_server(ray_params: Any, is_head: bool) -> None:
    """Take the client server out of what `ray start` is about to start."""
    ray_params.ray_client_server_port = None
