"""The energy that processors, their memory and GPUs of this machine take, by their own meters.

Processors count it where Linux lets this user read their counters (RAPL: Running Average Power Limit); NVIDIA's GPUs
from Volta on count it themselves and tell it through NVML. A meter counts all that runs on its device.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_POWERCAP = Path("/sys/class/powercap")
_ZONES = {"package": "processor", "dram": "memory"}  # RAPL's other zones are parts of these, or hold them
APART = 30.0  # seconds between two readings: a RAPL counter may start again from zero after some minutes
_JOULES = 3.6e6  # of a kilowatt hour

Reading = Callable[[], float]


class Meters:
    """Counts the energy of this machine's processors and of `gpus`, given by UUID, from now on until `close`.

    A kind of device of which one meter cannot be read, now or later, is left out: a part of it would mislead.
    """

    def __init__(self, gpus: Sequence[str] = (), powercap: Path = _POWERCAP) -> None:
        self._lock, self._over = threading.Lock(), threading.Event()
        self._meters: dict[str, list[_Meter]] = _zones(powercap)
        if gpus and (cards := _cards(gpus)):
            self._meters["GPU"] = cards
        self._read()
        if self._meters:
            threading.Thread(target=self._go_on, daemon=True).start()

    @property
    def kilowatt_hours(self) -> dict[str, float]:
        """What has been taken so far, by kind of device: `GPU`, `processor`, `memory`; empty without a meter."""
        self._read()
        with self._lock:
            return {kind: sum(one.joules for one in own) / _JOULES for kind, own in self._meters.items()}

    def close(self) -> None:
        """Stop counting."""
        self._over.set()

    def _go_on(self) -> None:
        while not self._over.wait(APART):
            self._read()

    def _read(self) -> None:
        with self._lock:
            self._meters = {kind: own for kind, own in self._meters.items() if all(one.read() for one in own)}


class _Meter:
    """One counter: `reading` gives joules since some moment, and starts again from zero after `most` of them."""

    def __init__(self, reading: Reading, most: float = math.inf) -> None:
        self._reading, self._most, self._last = reading, most, math.nan
        self.joules = 0.0

    def read(self) -> bool:
        """Count what has been taken since the last reading; False if that cannot be known."""
        try:
            now = self._reading()
        except Exception:  # noqa: BLE001 - whatever a driver raises, there is no number
            return False
        if now < self._last and math.isinf(self._most):
            return False
        if not math.isnan(self._last):
            self.joules += now - self._last + (self._most if now < self._last else 0.0)
        self._last = now
        return True


def _zones(powercap: Path) -> dict[str, list[_Meter]]:
    """The meters of Linux's RAPL zones by kind of device; a zone may be there and yet not be readable."""
    found: dict[str, list[_Meter]] = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's processors have the name too
        with contextlib.suppress(OSError, ValueError):
            kind = _ZONES.get((zone / "name").read_text(encoding="utf-8").strip().partition("-")[0])
            if kind is not None:
                most = _joules(zone / "max_energy_range_uj")
                found.setdefault(kind, []).append(_Meter(lambda zone=zone: _joules(zone / "energy_uj"), most))  # type: ignore[misc]
    return found


def _joules(path: Path) -> float:
    return int(path.read_text(encoding="utf-8")) / 1e6


def _cards(gpus: Sequence[str]) -> list[_Meter]:
    """The meters of GPUs; empty without NVIDIA's library."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in gpus]
    except Exception:  # noqa: BLE001 - no package, no driver, or a part of a GPU, which has no meter of its own
        return []

    def reading(handle: Any) -> Reading:
        return lambda: float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000

    return [_Meter(reading(handle)) for handle in handles]
