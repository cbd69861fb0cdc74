"""Files of impressions evaluated: one pass over them, by a learner of its own."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import torch

from headrace.config import Settings
from headrace.evaluation.files.evaluation import Evaluation
from headrace.evaluation.files.inputs_file import InputsFile
from headrace.evaluation.files.log import Log
from headrace.evaluation.files.visibility import Observer
from headrace.evaluation.progress import with_progress
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.quality import Measures, Quality
from headrace.evaluation.row import batches_of


def evaluate(log: Log, settings: Settings, measures: Measures) -> dict[str, Any]:
    """The evaluation report: the metrics of the test, the sample counts, and the run time."""
    torch.set_num_threads(1)  # batches are small: two threads wait for each other more than work
    options, content = log.options, log.content(settings)
    ranker = ranker_config(options.size, log.labels, log.surfaces, content.vectors.widths)
    every_ms = int(options.publish_every * 1_000)
    evaluation = Evaluation(ranker, log.labels, content, options.seed, options.online, every_ms)
    evaluation.quality = Quality(log.labels, measures)
    observer = Observer(log.items, log.users, log.days, freeze=options.frozen_features)
    started_s = time.monotonic()
    with ExitStack() as stack:
        file: InputsFile | None = None
        if options.inputs:
            file = InputsFile(options.inputs, log.labels, log.items, log.users)
            stack.enter_context(file.open())
        for batch in with_progress(batches_of(observer.observe(log.rows())), log.num_rows):
            evaluation.take(batch)
            if file:
                file.write(batch, evaluation.affinities(batch))
    seconds = time.monotonic() - started_s
    return {
        **evaluation.quality.report(),
        "samples": log.test.num_rows,
        "train_samples": log.train.num_rows,
        "time_zone": log.days.time_zone,
        "seconds": seconds,
    }
