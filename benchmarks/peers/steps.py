"""FuxiCTR's DIN with prepared batches, for its speed; runs in the peers' environment.

It is asked on standard input, a line each time: `train` or `score`, and how many times. It answers
with the seconds that it took. Its inputs are drawn at random: numbers and codes of one label.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.peers.inputs import DRAWN, drawn
from benchmarks.peers.networks import Network


def main() -> None:
    """Answer until there are no more questions."""
    parser = argparse.ArgumentParser()
    for size in DRAWN:
        parser.add_argument(f"--{size}", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    inputs = drawn(**vars(options))
    network = Network("din", inputs, label="click", seed=0)
    trained, scored = network.batch(inputs.train_N), network.batch(inputs.test_N)
    steps: dict[str, Callable[[], object]] = {
        "train": lambda: network.learn(trained),
        "score": lambda: network.predict(scored),
    }
    for question in sys.stdin:
        name, times = question.split()
        began_s = time.perf_counter()
        for _ in range(int(times)):
            steps[name]()
        print(time.perf_counter() - began_s, flush=True)


if __name__ == "__main__":
    main()
