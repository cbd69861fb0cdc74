"""A Ray cluster of two nodes, of which one can be lost.

`python -m benchmarks.two_nodes` is the cluster itself: it prints the address, removes the second
node when a line comes, and ends when its input does. Ray reads its environment when it is imported,
so whoever measures cannot hold the cluster in its own process.
"""

from __future__ import annotations

import os
import subprocess
import sys

from headrace import config


class TwoNodes:
    """A context manager: a Ray cluster of two nodes; `environ` has the variables to connect."""

    def __init__(self) -> None:
        self.environ = config.local_ray()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.two_nodes"],
            env={**os.environ, **self.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.environ["RAY_ADDRESS"] = self._read_line()

    def lose_one(self) -> None:
        """Remove the second node, as if its machine had gone."""
        assert self._process.stdin is not None
        print("remove", file=self._process.stdin, flush=True)
        assert self._read_line() == "removed"

    def __enter__(self) -> TwoNodes:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith(("127.", "removed")):
                return line.strip()
        raise AssertionError("the cluster has ended")


def main() -> None:
    """The cluster."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    print(cluster.address, flush=True)
    if sys.stdin.readline():
        cluster.remove_node(other, allow_graceful=False)
        print("removed", flush=True)
        sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
