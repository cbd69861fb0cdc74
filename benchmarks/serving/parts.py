"""The benchmark named serving: a request for a slate over what it cannot do without.

over_floor_2k, over_floor_100k, over_floor_1m  p50 of a request with 500 ranked candidates on
    one connection over the p50s, of the same rounds, of a hello-world, one read of the user's
    rows and the ranker's bare forward of 500 candidates together; in milliseconds `request_p50_
    ms_2k` and so on, `hello_p50_ms_…`, `read_p50_ms_…`, `forward_p50_ms_…`
over_din_2k            the same p50 over FuxiCTR's DIN's bare forward of 500 candidates
p99_over_p50_1m        of the requests with 1,000,000 items
rank_25_ms, rank_100_ms, rank_300_ms  p50 of /v1/rank with so many items
requests_vs_hello      requests/s at 8 connections over hello-world's
vs_tutorial            the most requests/s over those of the same request as Ray Serve's
    tutorial composes it: deployments for ingress, features and ranker, default settings
p99_512_over_8         p99 of what is answered at 512 connections over p99 at 8
p99_over_p50_at_70, goodput_at_2x, recovery_s  under Poisson arrivals, each answer timed from
    when its request was due: at 70 % of the peak, at twice the peak, and seconds after that
bytes_per_item_1m, two_replicas_memory  of a replica, as the benchmark named catalogue has them
index_recall           recall@100 of the index against exact search
idle_cores             of `headrace up` once its log is processed and nobody asks
behaviour_to_answer_p99_ms  from posting that an item is to be hidden to a slate without it
item_to_slate_p99_ms   from the PUT of an item to a slate with it
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final

from benchmarks import catalogue, index
from benchmarks.serving import one_connection, saturation, whole

Figures = dict[str, Any]


def _memory(quick: bool) -> Figures:
    """Memory of an item in a replica, and of two replicas over one."""
    num_items = catalogue.NUM_ITEMS // 10 if quick else catalogue.NUM_ITEMS
    of_bytes = catalogue.part("bytes", "replica", num_items, 0)
    both = catalogue.run(argparse.Namespace(only=["replica"], items=num_items, churn=0))
    return {
        "bytes_per_item_1m": of_bytes["full"],
        "two_replicas_memory": both["two_replicas_memory"],
        "replica_mb_1m": both["replica_mb_1m"],
    }


def _index(quick: bool) -> Figures:
    """Recall of the index, as the benchmark named index has it; it knows no quick way."""
    return {"index_recall": index.run()["index_recall"]}


PARTS: Final[dict[str, Callable[[bool], Figures]]] = {
    "2k": one_connection.with_2k,
    "100k": one_connection.with_100k,
    "1m": one_connection.with_1m,
    "hello": saturation.beside_hello,
    "tutorial": saturation.beside_tutorial,
    "overload": saturation.overloaded,
    "memory": _memory,
    "index": _index,
    "idle": whole.idle,
    "behaviour": whole.behaviours,
    "arrivals": whole.arrivals,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the benchmark."""
    parser.add_argument("--quick", action="store_true", help="prove each part with few requests")
    parser.add_argument("--only", choices=[*PARTS], action="append", help="parts; more than once")


def run(options: argparse.Namespace) -> Figures:
    """The figures of all parts, or of those that are asked for."""
    figures: Figures = {}
    for name in options.only or PARTS:
        print(f"serving: {name}", file=sys.stderr, flush=True)
        figures |= PARTS[name](options.quick)
    return figures
