"""The floor of a request: a hello-world, one read of the user's rows, and the bare forward.

`python -m benchmarks.serving.floor PORT` is the hello-world.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.pairs import seconds
from benchmarks.ranker import CANDIDATES, GROUPS, Serving, catalogue, trained
from benchmarks.serving.shop import Shop
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.online.store import OnlineStore
from headrace.features.store.last_items import USER_HIDES, USER_SHOWN
from headrace.model.config import nano

LISTS: Final = (*USER_HIDES, USER_SHOWN)  # that a request reads beside the rows


def read(made: Shop) -> Callable[[int], list[float]]:
    """Seconds of so many reads of a user's rows and lists, one after the other."""
    store = OnlineStore(made.settings)

    def measured(num: int) -> list[float]:
        users = [made.users[place % len(made.users)] for place in range(num)]
        return [seconds(partial(store.read_users, [user_id], LISTS)) for user_id in users]

    return measured


def forward() -> Callable[[int], list[float]]:
    """Seconds of so many forwards of 500 candidates in a tight loop, as the benchmark named ranker
    has them: nano, one thread, batches and items' sides made before."""
    torch.set_num_threads(1)
    content = ContentTable(catalogue())
    config = replace(nano(NUM_DENSE), rates=RATES)
    learner, _ = trained(config, content, GROUPS[0])
    scored = Serving(learner.ranker, content).scores(CANDIDATES)
    return lambda num: [seconds(scored) for _ in range(num)]


async def _hello(_: Request) -> Response:
    return JSONResponse({"hello": "world"})


def main() -> None:
    """Serve the hello-world on every path that is asked for here."""
    paths = ("/", "/v1/recommend")
    application = Starlette(routes=[Route(path, _hello, methods=["GET", "POST"]) for path in paths])
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
