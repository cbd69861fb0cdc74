"""FuxiCTR's DIN with prepared batches, for its speed; runs in the peers' environment.

It is asked on standard input, a line each time: `train` or `score`, and how many times. It answers
with the seconds that it took. Its inputs are drawn at random: numbers and codes of one label.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

from benchmarks.peers.inputs import ALL_ACTIONS, FIRST, HISTORY, Inputs
from benchmarks.peers.networks import Network

NUM_VALUES = 100  # of an attribute
SIZES = ("rows", "candidates", "inputs", "dense", "users", "items")


def main() -> None:
    """Answer until there are no more questions."""
    parser = argparse.ArgumentParser()
    for size in SIZES:
        parser.add_argument(f"--{size}", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    inputs = drawn(options)
    network = Network("din", inputs, label="click", seed=0)
    trained, scored = network.batch(inputs.train_N), network.batch(inputs.test_N)
    steps = {"train": lambda: network.learn(trained), "score": lambda: network.predict(scored)}
    for question in sys.stdin:
        name, times = question.split()
        began_s = time.perf_counter()
        for _ in range(int(times)):
            steps[name]()
        print(time.perf_counter() - began_s, flush=True)


def drawn(sizes: argparse.Namespace) -> Inputs:
    """Rows to train on, then candidates: numbers, a user, an item, its history, and attributes."""
    num_rows, draw = sizes.rows + sizes.candidates, np.random.default_rng(0)
    num_attributes = sizes.inputs - sizes.dense - len(("user", "item", "action"))
    attributes = {f"attribute{n}": NUM_VALUES for n in range(num_attributes)}
    num_codes = {"user": sizes.users, "item": sizes.items, **attributes}
    return Inputs(
        num_train=sizes.rows,
        num_test=sizes.candidates,
        time_ms_N=np.arange(num_rows),
        label_N={"click": draw.integers(0, 2, num_rows).astype(np.float32)},
        dense_NF=draw.random((num_rows, sizes.dense), np.float32),
        code_N={name: draw.integers(FIRST, num, num_rows) for name, num in num_codes.items()},
        num_codes=num_codes,
        history_NT=draw.integers(FIRST, sizes.items, (num_rows, HISTORY)),
        action_NT=draw.integers(1, 1 + ALL_ACTIONS, (num_rows, HISTORY)),
    )


if __name__ == "__main__":
    main()
