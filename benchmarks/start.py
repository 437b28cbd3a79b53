"""`python -m benchmarks start`: seconds from the command to the first training steps, as a user experiences them."""

import subprocess
import sys
import tempfile
import time
from statistics import median

# Two networks of the demonstration, two training steps, and as few evaluation images as a split by class allows.
COMMAND = (
    "study=equal_params",
    "space.cardinality=[1,32]",
    "search.seeds=1",
    "recipe.epochs=1",
    "data.train_images=64",
    "data.val_images=10",
    "data.test_images=10",
    "storage=none",
)


def measure_start(turns: int) -> float:
    """Median seconds until the first run of two steps is recorded: an upper bound of the time to the first step.

    A first start, not counted, fills the cache of measured choices. Raises RuntimeError if the command fails.
    """
    _seconds()
    return median(_seconds() for _ in range(turns))


def _seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "explorer", *COMMAND]
        with subprocess.Popen(  # noqa: S603 - fixed words
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
        ) as run:
            assert run.stdout is not None
            lines = []
            for line in run.stdout:
                lines.append(line)
                if line.startswith("[1/"):
                    found = time.perf_counter() - began
                    run.stdout.read()
                    return found
    raise RuntimeError(f"the command ended without a run: {' '.join(lines)[-300:]}")
