"""`headrace evaluate`: the ranker's quality, in one pass over a log's train and test periods."""

from __future__ import annotations

import argparse
import json
import math
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace import config
from headrace.commands.flags import (
    add_app_flag,
    add_data_flags,
    add_vectors_flag,
    iso_time_ms,
    load_data,
)
from headrace.commands.running import settings_for
from headrace.errors import ConfigError
from headrace.evaluation.audio.command import add_audio_flags, run_audio
from headrace.evaluation.files.log import (
    DEFAULT_SIZE,
    FILES,
    add_log_flags,
    check_ranker_and_outputs,
    open_log,
)
from headrace.evaluation.policy.command import add_policy_flag, run_policy
from headrace.evaluation.policy.logged import logged_impressions
from headrace.evaluation.quality import Measures
from headrace.evaluation.report import to_text
from headrace.evaluation.slates.command import add_slates_flags, check_slates, run_slates
from headrace.metrics.off_policy import LoggedImpressions

if TYPE_CHECKING:
    from headrace.evaluation.dataset.asked import Asked

TEST_SHARE: Final = 0.2
NUM_DRAWS: Final = 1_000
DATASET_ONLY: Final = ("test_from", "test_share", "model_version")
FILES_ONLY: Final = ("train", "test", "users", "items", "history", "inputs")
LEARNER_ONLY: Final = ("online", "publish_every", "seed")


def add_evaluate(commands: Any) -> None:
    """Add `evaluate` to the command line."""
    evaluate = commands.add_parser(
        "evaluate", help="how well the ranker predicts a log: features as of each row, one pass"
    )
    add_app_flag(evaluate)
    add_data_flags(evaluate)
    evaluate.add_argument(
        "--test-from", type=iso_time_ms, metavar="TIME", help="where the test begins (ISO, UTC)"
    )
    evaluate.add_argument(
        "--test-share",
        type=float,
        metavar="SHARE",
        help=f"of the events, the last of which are the test (default: {TEST_SHARE})",
    )
    evaluate.add_argument(
        "--model-version",
        type=int,
        metavar="N",
        help="judge this published version as it is served, and train nothing",
    )
    evaluate.add_argument(
        "--platform", metavar="NAME", help="the running headrace up that published the version"
    )
    add_log_flags(evaluate, required=False)
    add_vectors_flag(evaluate)
    _add_regime_flags(evaluate)
    _add_measure_flags(evaluate)
    add_policy_flag(evaluate)
    add_slates_flags(evaluate)
    add_audio_flags(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _add_regime_flags(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument(
        "--online", action="store_true", help="go on training through the test, after predicting"
    )
    evaluate.add_argument(
        "--publish-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with --online: predict with the model of so often in the log (default: of now)",
    )
    evaluate.add_argument(
        "--frozen-features", action="store_true", help="learn nothing of users and items in it"
    )
    evaluate.add_argument(
        "--inputs", type=Path, metavar="OUT", help="write what the ranker saw, as Parquet"
    )


def _add_measure_flags(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument(
        "--top", type=int, default=10, metavar="K", help="places of a list that count (default: 10)"
    )
    evaluate.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="probability from which on an action is decided to come (default: 0.5)",
    )
    evaluate.add_argument(
        "--bootstrap",
        type=int,
        nargs="?",
        const=NUM_DRAWS,
        default=0,
        metavar="DRAWS",
        help=f"95 %% intervals, from draws of users (default: {NUM_DRAWS:,})",
    )


def _evaluate(options: argparse.Namespace, settings: config.Settings) -> int:
    if options.audio:
        return run_audio(options)
    if options.epochs is not None:
        raise ConfigError("--epochs says how long sound encoders are trained: give --audio")
    if options.policy:
        _refuse(options, (*FILES_ONLY, *DATASET_ONLY, *LEARNER_ONLY), "--policy")
        return run_policy(options, _logged(options))
    if options.slates:
        check_slates(options)
        return run_slates(options, settings, load_data(options))
    _check(options)
    of_dataset = options.data or options.dataset
    result = (_of_dataset if of_dataset else _of_files)(options, settings)
    num_impressions = result["train_samples"] + result["samples"]
    result |= {
        "samples_per_s": round(num_impressions / result.pop("seconds"), 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1),
        "regime": _regime(options),
        "size": options.size,
        "seed": options.seed,
    }
    what = "choices, without impressions" if "points" in result else "test impressions"
    print(f"{result['samples']:,} {what}; {result['regime']}; {_whose(options)}")
    print(to_text(result))
    if result.get("choices"):
        print(
            f"{result['choices']:,} choices of the test, of items that nobody was seen to show, "
            "are not judged here"
        )
    print(f"{result['samples_per_s']:,} of the log/s, {result['peak_rss_mb']:,} MB at most")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _logged(options: argparse.Namespace) -> LoggedImpressions:
    """The impressions with propensities of --data or --dataset, else of the archive."""
    if options.data or options.dataset:
        return logged_impressions(load_data(options))
    from headrace.offline.archived_samples import archived_impressions

    options.uses_platform = True
    return archived_impressions(settings_for(options))


def _of_dataset(options: argparse.Namespace, settings: config.Settings) -> dict[str, Any]:
    """The evaluation figures of the dataset that --data names."""
    from headrace.evaluation.dataset.run import evaluate

    if options.model_version is not None:
        settings = _publishers_settings(options, settings)
    if options.time_zone:
        settings = config.changed(settings, time_zone=options.time_zone)
    result = evaluate(load_data(options), settings, _asked(options))
    return {**result, "model_version": options.model_version}


def _publishers_settings(options: argparse.Namespace, settings: config.Settings) -> config.Settings:
    """The settings of the platform that published the version, with a broker that answers."""
    from headrace.services.kafka import check_broker

    options.uses_platform = True
    settings = settings_for(options)
    if options.vectors:
        settings = config.changed(settings, vector_tables=options.vectors)
    check_broker(settings.kafka_bootstrap, settings.kafka)
    return settings


def _asked(options: argparse.Namespace) -> Asked:
    from headrace.evaluation.dataset.asked import Asked

    return Asked(
        labels=tuple(options.labels.split(",")) if options.labels is not None else (),
        test_from_ms=options.test_from,
        test_share=TEST_SHARE if options.test_share is None else options.test_share,
        size=options.size,
        seed=options.seed,
        online=options.online,
        publish_every_ms=int(options.publish_every * 1_000),
        frozen_features=options.frozen_features,
        model_version=options.model_version,
        top=options.top,
        threshold=options.threshold,
        num_draws=options.bootstrap,
    )


def _of_files(options: argparse.Namespace, settings: config.Settings) -> dict[str, Any]:
    """The evaluation figures of the files that --train and --test name."""
    from headrace.evaluation.files.run import evaluate

    measures = Measures(options.top, options.threshold, num_draws=options.bootstrap)
    return evaluate(open_log(options, settings), settings, measures)


def _check(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for flags that are wrong or do not go together."""
    check_ranker_and_outputs(options)
    _check_log(options)
    if options.every is not None:
        raise ConfigError("--every says at how many points slates are asked for: give --slates")
    if options.online and options.frozen_features:
        raise ConfigError(
            "--online learns through the test, --frozen-features does not: give one of them"
        )
    if not 0 <= options.publish_every < math.inf:
        raise ConfigError(f"--publish-every {options.publish_every}: expected seconds, 0 or more")
    if options.publish_every and not options.online:
        raise ConfigError("--publish-every says when a model that goes on is used: give --online")
    if options.top < 1:
        raise ConfigError(f"--top {options.top}: expected a number of places, 1 or more")
    if not 0 < options.threshold < 1:
        raise ConfigError(f"--threshold {options.threshold:g}: expected more than 0, less than 1")
    if options.bootstrap < 0:
        raise ConfigError(f"--bootstrap {options.bootstrap}: expected a number of draws")


def _check_log(options: argparse.Namespace) -> None:
    """That one log is named, by flags of one form."""
    of_dataset = options.data or options.dataset
    if not of_dataset and any(getattr(options, flag.strip("-")) is None for flag in FILES):
        raise ConfigError(
            f"no log to evaluate on: give --data FOLDER, or all of {', '.join(FILES)}"
        )
    other, form = (FILES_ONLY, "--data") if of_dataset else (DATASET_ONLY, "--train")
    _refuse(options, other, form)
    if options.test_from is not None and options.test_share is not None:
        raise ConfigError("--test-from and --test-share both say where the test begins: give one")
    if options.model_version is None:
        _refuse(options, ("platform",), "a learner of its own")
    else:
        other_size = () if options.size == DEFAULT_SIZE else ("size",)
        _refuse(options, (*LEARNER_ONLY, *other_size), "--model-version")


def _refuse(options: argparse.Namespace, names: tuple[str, ...], form: str) -> None:
    for name in names:
        if getattr(options, name) not in (None, False, 0.0):
            raise ConfigError(f"--{name.replace('_', '-')} does not go with {form}")


def _regime(options: argparse.Namespace) -> str:
    if options.model_version is not None:
        features = "are frozen after the train" if options.frozen_features else "go on"
        return f"the version stands still, features {features}"
    if options.publish_every:
        return f"online: model and features go on, a version every {options.publish_every:g} s"
    if options.online:
        return "online: model and features go on"
    if options.frozen_features:
        return "model and features frozen after the train"
    return "model frozen after the train, features go on"


def _whose(options: argparse.Namespace) -> str:
    version: int | None = options.model_version
    return f"{options.size}" if version is None else f"model version {version}"
