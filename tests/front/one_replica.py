"""A replica without Ray, in a process that can be killed: the application behind a plain server.

`python one_replica.py PORT`, with the settings in the environment.
"""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import uvicorn
from starlette.requests import Request

from headrace import config
from serving.app import Gateway


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # after the server's own: unwinds
    logging.basicConfig(level=logging.WARNING)
    gateway = Gateway(config.load())

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            response = await gateway.answer(Request(scope, receive))
            await response(scope, receive, send)

    try:
        uvicorn.run(answer, port=int(sys.argv[1]), log_level="warning", lifespan="off")
    finally:
        gateway.close()  # as the deployment does


if __name__ == "__main__":
    main()
