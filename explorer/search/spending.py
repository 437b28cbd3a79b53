"""Notes what a start spends while it runs: hours of devices, and with a price or a meter money and energy."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.host.meters import Meters
from explorer.record.folder import now
from explorer.record.spent import SPENT, keep_spent, spent_entry, spent_in
from explorer.search.display import Clock
from explorer.study.price import Price

APART = 60.0  # seconds between two notes in the record


@dataclass
class Spending:
    """What this start has spent so far.

    On this machine the devices are held from the start's first second to its last. Elsewhere they are others' between
    two runs, and what counts is the time that runs hold their share of one, `at_once` of them at a time.
    """

    folder: Path
    clock: Clock
    meters: Meters | None
    price: Price | None
    devices: int
    at_once: int
    is_local: bool
    when: str = field(default_factory=now)
    _noted: float = -APART
    _number: int | None = None

    @property
    def hours(self) -> float:
        """Hours of one device."""
        if self.is_local:
            return (time.perf_counter() - self.clock.began) / 3600 * self.devices
        return self.clock.seconds / 3600 / self.at_once

    def note(self, *, at_end: bool = False) -> None:
        """Write it into the record, if the last note is old enough or this is the last one."""
        if at_end or time.monotonic() - self._noted >= APART:
            self._number = keep_spent(self.folder, self._entry(), self._number)
            self._noted = time.monotonic()

    def words(self, device: str) -> str:
        """It in words; "" where there is neither a price nor a meter."""
        found = spent_in({SPENT: [self._entry()]})
        assert found is not None
        return found.words(device, self.price) if found.money or found.energy else ""

    def _entry(self) -> dict[str, Any]:
        energy = self.meters.kilowatt_hours if self.meters else {}
        return spent_entry(self.when, self.hours, self.price, energy)
