"""How much of the fault suite is run: all of it, a tenth, or only what takes seconds."""

import os

import pytest

# `.ci/run` may skip nothing, and has time for a tenth.
LEVEL = os.environ.get("EXPLORER_FAULTS") or ("tenth" if "EXPLORER_REQUIRE_REAL" in os.environ else "none")
if LEVEL not in ("full", "tenth", "none"):
    raise pytest.UsageError(f"EXPLORER_FAULTS={LEVEL}: allowed: full, tenth")
# Every moment follows from it: a failure names it, and the same seed tries the same moments again.
SEED = int(os.environ.get("EXPLORER_FAULTS_SEED", "0"))


def times(full: int) -> int:
    """So many in full, or a tenth of them."""
    return full if LEVEL == "full" else full // 10
