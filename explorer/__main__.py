"""The entry point of the command line: `explorer NAME`. The verbs are in `explorer/verbs`."""

import signal
import sys


def main(arguments: list[str]) -> int:
    """Carry out one command and return the exit code: 0 done, 1 a run failed or none came through, 2 unusable input.

    A verdict of any kind gives 0, "inconclusive" and "neither has learned more than guessing" included: the study has
    run. If every run that decides the verdict diverged or ran out of memory, nothing can be judged, and the code is 1.
    A start whose time (`search.hours`) was over before all was done, as it was asked, gives 3.
    A command that a signal stopped gives 128 plus the signal: 130 after Ctrl-C, 143 after SIGTERM. With `--json` the
    result, or the error, is one JSON document on standard output.
    """
    from functools import partial

    from explorer.verbs.carry_out import carried_out
    from explorer.verbs.dispatch import dispatch
    from explorer.verbs.result import without_json

    words, as_json = without_json(arguments)
    return carried_out(partial(dispatch, words), words, as_json=as_json)


def console() -> None:
    """The `explorer` command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while packages load there is nothing to save or to say
    from explorer.host import signals
    from explorer.verbs.carry_out import leave_ascii

    leave_ascii()
    code = main(sys.argv[1:])
    signals.ignore()  # all is done: a signal while Python takes itself down must not change the code
    sys.exit(code)


if __name__ == "__main__":
    console()
