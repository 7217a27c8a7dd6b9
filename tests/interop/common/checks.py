"""Runs the checks of one Python client and prints the lines that 'run' counts.

A client registers functions with @check and ends with main(). A plain function is bounded by an
alarm signal, a coroutine function by its own event loop's timeout; both report through the same lines.
"""

import asyncio
import inspect
import itertools
import os
import signal
import sys
import traceback

AMQP_URL = os.environ["AMQP_URL"]
AMQP_HOST = os.environ["AMQP_HOST"]
AMQP_PORT = int(os.environ["AMQP_PORT"])
CHECK_SECONDS = 15

_checks = []
_numbers = itertools.count(1)


def check(function):
    """Registers a function that takes no argument and raises when the client saw something wrong."""
    _checks.append(function)
    return function


def unique(label):
    """A broker-side name that no other client, run or check uses."""
    return f"interop.{os.path.basename(os.getcwd())}.{os.getpid()}.{next(_numbers)}.{label}"


def equal(got, wanted, what="value"):
    """Fails with both sides shown, long ones cut."""
    if got != wanted:
        raise AssertionError(f"{what}: got {_short(got)}, wanted {_short(wanted)}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"{_short(text)} does not contain {_short(part)}")


def main(clean=None):
    """Runs the registered checks (or those named as arguments) in order, cleans up, and exits."""
    wanted = sys.argv[1:]
    selected = [c for c in _checks if not wanted or c.__name__ in wanted]
    failed = [c.__name__ for c in selected if not _passes(c)]
    if clean:
        clean()
    print(f"checks: {len(selected)}", flush=True)
    # A client library's stray thread must not keep a finished run alive.
    os._exit(1 if failed or not selected else 0)


def _passes(function):
    name = function.__name__.replace("_", "-")
    try:
        _run_bounded(function)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
        traceback.print_exc(limit=-4)
        return False
    print(f"ok {name}", flush=True)
    return True


def _run_bounded(function):
    if inspect.iscoroutinefunction(function):
        asyncio.run(asyncio.wait_for(function(), CHECK_SECONDS))
        return
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(CHECK_SECONDS)
    try:
        function()
    finally:
        signal.alarm(0)


def _alarm(_signal, _frame):
    raise TimeoutError(f"no end within {CHECK_SECONDS} s")


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"
