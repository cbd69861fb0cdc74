"""Interruption: SIGINT, SIGTERM and SIGHUP end a run at whatever step it is."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S: Final = 0.05  # until a signal that fell into a callback is sent again


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal raises `KeyboardInterrupt` in the body. Once it has, or the body is over,
    signals do nothing: what is being ended is ended whole. Call it from the main thread.

    Python prints what is raised in a finaliser or in a hook of `os.register_at_fork`, such as
    logging's, and goes on: a signal that falls into one is sent again, until the body hears it.
    """
    is_over, given, print_ignored = False, KeyboardInterrupt(), sys.unraisablehook

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_over, given
        if not is_over:
            is_over, given = True, KeyboardInterrupt(number)
            raise given

    def ignored(args: sys.UnraisableHookArgs) -> None:
        nonlocal is_over
        if args.exc_value is not given:
            print_ignored(args)
            return
        is_over = False
        threading.Timer(AGAIN_S, os.kill, (os.getpid(), given.args[0])).start()

    for number in SIGNALS:
        signal.signal(number, interrupt)
    sys.unraisablehook = ignored
    try:
        yield
    finally:
        is_over, sys.unraisablehook = True, print_ignored
