"""The measures of cost: the single list used by budgets, objectives, records, trials, figures and tables."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One measure of what a design costs.

    name         of the field of a cost, the key of a budget, the objective of a search and the column of a record
    words        its name in a sentence; for a measured one its unit
    title        heading of a column
    is_counted   whether it follows from the design; otherwise it is measured on a device
    in_millions  whether tables show it as `4.91 M`
    function     of one that an extension adds: what gives its number. `design/cost.py` counts the others
    limit        the key of a budget that limits it, if that is not one of `budget.limits`
    """

    name: str
    words: str
    title: str
    is_counted: bool = True
    in_millions: bool = False
    function: Callable[..., Any] | None = None
    limit: str = ""

    @property
    def limited_by(self) -> str:
        """The setting that limits it, for messages."""
        return self.limit or f"budget.limits.{self.name}"


OURS = {
    measure.name: measure
    for measure in (
        Measure("params", "parameters", "params"),
        Measure("macs", "multiply-adds", "MACs", in_millions=True),
        Measure("activations", "activations", "activations"),
        Measure("latency", "milliseconds", "latency (ms)", is_counted=False),
    )
}
COUNTED = {name: measure for name, measure in OURS.items() if measure.is_counted}
ADDED: dict[str, Measure] = {}  # by extensions
# Measured on a device before a design may be trained, where a budget limits them.
LIMITED = {
    measure.name: measure
    for measure in (
        Measure("pass_ms", "milliseconds of a forward pass", "pass (ms)", is_counted=False, limit="budget.latency"),
        Measure("peak_mib", "MiB of peak memory", "peak (MiB)", is_counted=False, limit="budget.memory"),
    )
}
# Those of which a study keeps a reading for each design, in its table of measures.
READ: Mapping[str, Measure] = ChainMap(ADDED, LIMITED)
MEASURES: Mapping[str, Measure] = ChainMap(ADDED, LIMITED, OURS)
