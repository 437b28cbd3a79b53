"""How a command ends that a signal has asked to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.host import signals
from tests.test_layers import ROOT

# As `python -m explorer` ends.
INTERRUPTED = """
import sys
from explorer.verbs.carry_out import carried_out
sys.exit(carried_out(lambda _: exec("raise KeyboardInterrupt"), ["best"]))
"""


def test_a_program_that_was_interrupted_goes_on_as_if_nothing_had_been_asked() -> None:
    """A notebook's, whose `run` was stopped: what is told to a study afterwards is recorded."""

    def stopped() -> None:
        with signals.watching(gentle=True), signals.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.requested()

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not signals.requested()
    with signals.deferred():
        pass


def test_an_interruption_while_a_class_is_made_ends_with_the_code_of_its_signal(tmp_path: Path) -> None:
    """Dataclasses are made by `exec`, after which Python would kill itself by SIGINT: that is not 128 plus a signal."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    words = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Interrupted. Everything done so far is kept" in done.stderr
