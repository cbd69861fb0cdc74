"""`headrace train`: one Ray Train run per namespace, which resumes at its last checkpoint.

What its worker does is in `trainers.worker`; here is how it is started and ended. Neither this
process nor Ray's controller of the run imports torch, which would cost each of them seconds.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from headrace import config
from headrace.broker.topics import create_topics
from headrace.catalogue.table.shared import open_items
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import HeadraceError
from headrace.services.processes.priority import yield_to_requests
from headrace.services.ray_node import wait_for_own_ray
from headrace.stream.memory import ONE_HEAP
from trainers.recipe import check_continues, ranker_config
from trainers.refusal import take_refusal


def train_loop(loop_config: dict[str, Any]) -> None:
    """The work of the Ray Train worker, in a process of its own."""
    yield_to_requests()
    from trainers.worker import run

    run(loop_config["settings"])


# Each starts a process: that of the datasets of a run, of which ours has none, and one that removes
# the worker's place when the controller has died. This process then ends, and with it the place.
NOT_NEEDED: Final = (DatasetsCallback, PlacementGroupCleanerCallback)


class OneWorker(DataParallelTrainer):  # type: ignore[misc]  # Ray is not typed here
    """A run of one worker, which reads its samples itself.

    It is not Ray's TorchTrainer: one worker has nobody to talk to, so it needs no process group,
    whose store would listen on every interface of the machine.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [one for one in callbacks if not isinstance(one, NOT_NEEDED)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        if config.own_ray_address():
            arguments["scaling_policy"] = SizeOfOwnRay(self.scaling_config)
        return super()._initialize_and_run_controller(**arguments)


class SizeOfOwnRay(FixedScalingPolicy):  # type: ignore[misc]
    """The size of a run in a Ray of our own, which has one node for good: it does not ask the
    cluster's autoscaler for room, which would start an actor that the worker waits for."""

    def after_controller_start(self, train_run_context: Any) -> None:
        """Nobody is told."""

    def _maybe_send_resource_request(self) -> None:
        """Nobody is asked."""


def _end(*_: object) -> None:
    """End now: a run may end at any moment, its checkpoints are complete."""
    ray.shutdown()
    os._exit(0)


def main() -> int:
    """`headrace train`: one run per namespace; starting it again resumes at its last checkpoint."""
    settings = config.load()
    try:
        open_items(config.catalogue_path(settings))
        ranker_config(settings, ContentVectors.of(settings))
        create_topics(settings)
        check_continues(settings)
        wait_for_own_ray()
    except HeadraceError as error:
        print(f"headrace train: {error}", file=sys.stderr)
        return 2
    ray.init(**config.ray_options())
    signal.signal(signal.SIGTERM, _end)  # after ray.init, whose own handler aborts the process
    trainer = OneWorker(
        train_loop,
        train_loop_config={"settings": settings},
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(
            name=f"{settings.namespace}-online",
            storage_path=str(settings.home_path / "train"),
            failure_config=FailureConfig(max_failures=-1),
            checkpoint_config=CheckpointConfig(num_to_keep=3),
            worker_runtime_env=ONE_HEAP,
        ),
    )
    trainer.fit()  # ends by itself only where the loop refused to go on
    print(f"headrace train: {take_refusal(settings)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
