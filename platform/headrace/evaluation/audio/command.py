"""`headrace evaluate --audio`: sound encoders from scratch, over the folds of a file of clips."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Final

from headrace.errors import ConfigError

SHOWN_PROBLEMS: Final = 20
GOES_WITH: Final = ("audio", "epochs", "json", "seed", "app")
NO_FLAGS: Final = ("command", "default_of", "run")  # what else a command's options hold


def add_audio_flags(evaluate: argparse.ArgumentParser) -> None:
    """The flags of an evaluation of sound encoders."""
    evaluate.add_argument(
        "--audio",
        type=Path,
        metavar="CLIPS",
        help="train the sound encoders on a Parquet file of clips with a label and a fold, and "
        "judge each fold by those of the others",
    )
    evaluate.add_argument(
        "--epochs", type=int, metavar="N", help="with --audio: passes over the clips (default: 40)"
    )
    evaluate.set_defaults(default_of=evaluate.get_default)


def run_audio(options: argparse.Namespace) -> int:
    """The evaluation that the flags ask for, printed and written."""
    from headrace.evaluation.audio.clips import read_clips
    from headrace.evaluation.audio.run import evaluate_audio, to_text
    from headrace.learning.encoder_fit import FitConfig

    _check(options)
    clips = read_clips(options.audio)
    for clip_id, problem in islice(clips.problems.items(), SHOWN_PROBLEMS):
        print(f"clip {clip_id!r}: {problem}", file=sys.stderr)
    if clips.problems:
        print(f"{len(clips.problems):,} clips were left out", file=sys.stderr)
    fit = FitConfig(seed=options.seed)
    if options.epochs is not None:
        fit = FitConfig(num_epochs=options.epochs, seed=options.seed)
    result = evaluate_audio(clips, fit)
    print(to_text(result))
    print(f"{result['clips']:,} clips, {fit.num_epochs} epochs, in {result['seconds']:,.0f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for flags that are wrong or do not go together."""
    flags = [name for name in vars(options) if name not in (*GOES_WITH, *NO_FLAGS)]
    for name in flags:
        if getattr(options, name) != options.default_of(name):
            raise ConfigError(f"--{name.replace('_', '-')} does not go with --audio: leave it out")
    if options.epochs is not None and options.epochs < 1:
        raise ConfigError(f"--epochs {options.epochs}: expected a number of passes, 1 or more")
