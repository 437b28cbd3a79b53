"""What the starts of a study spent: hours of devices, and money and energy where there is a price or a meter.

It is noted in `environment.json` while a start runs, so that one that is killed has spent what it noted last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.host.formatting import duration
from explorer.record.folder import stored_environment
from explorer.record.starts import write_environment
from explorer.study.price import Price, money

SPENT = "spent"


@dataclass(frozen=True)
class Spent:
    """Hours of devices that starts held in all, and of how many of them the price or the energy is known.

    money    by currency
    energy   in kilowatt hours by kind of device (`GPU`, `processor`, `memory`), with all that ran on these
    """

    hours: float = 0.0
    money: Mapping[str, float] = field(default_factory=dict)
    priced_hours: float = 0.0
    energy: Mapping[str, float] = field(default_factory=dict)
    metered_hours: float = 0.0

    def words(self, device: str, price: Price | None = None) -> str:
        """All of it in words: `4 min 08 s of the machine, 0.17 EUR at 2.50 EUR an hour, 0.012 kWh by meters (...)`."""
        parts = [f"{duration(3600 * self.hours)} of {'a GPU' if device == 'cuda' else 'the machine'}"]
        if self.money:
            told = " and ".join(money(amount, unit) for unit, amount in self.money.items())
            parts.append(f"{told}{f' at {price.words}' if price else ''}{self._of_part(self.priced_hours)}")
        if self.energy:
            each = ", ".join(f"{kind} {hours:.2g}" for kind, hours in self.energy.items())
            total = f"{sum(self.energy.values()):.2g} kWh by meters"
            parts.append(f"{total} ({each}; all that ran there counts){self._of_part(self.metered_hours)}")
        return ", ".join(parts)

    def _of_part(self, hours: float) -> str:
        """What has to be said where a number is known for only some of the hours."""
        return "" if hours > 0.999 * self.hours else f" for {duration(3600 * hours)} of it"


def spent_in(*environments: Mapping[str, Any]) -> Spent | None:
    """What all starts of some records spent; None where none of them noted it."""
    entries = [entry for environment in environments for entry in environment.get(SPENT) or ()]
    return _sum(entries) if entries else None


def spent_entry(when: str, hours: float, price: Price | None, energy: Mapping[str, float]) -> dict[str, Any]:
    """One start's entry in the record."""
    entry: dict[str, Any] = {"when": when, "hours": round(hours, 6)}
    if price is not None:
        entry["price"] = {"amount": price.amount, "unit": price.unit}
    if energy:
        entry["kwh"] = {kind: round(amount, 9) for kind, amount in energy.items()}
    return entry


def keep_spent(folder: Path, entry: Mapping[str, Any], number: int | None) -> int | None:
    """Write what a start has spent by now, in the place of its entry of this `number`, which is returned.

    A first entry has no number yet, and neither has one in a folder whose environment is gone.
    """
    environment = stored_environment(folder)
    if environment is None:
        return None
    entries = list(environment.get(SPENT) or ())
    if number is None or number >= len(entries):
        number = len(entries)
    write_environment(folder, {**environment, SPENT: [*entries[:number], dict(entry), *entries[number + 1 :]]})
    return number


def _sum(entries: Iterable[Mapping[str, Any]]) -> Spent:
    hours = priced = metered = 0.0
    paid: dict[str, float] = {}
    energy: dict[str, float] = {}
    for entry in entries:
        hours += entry["hours"]
        if price := entry.get("price"):
            priced += entry["hours"]
            paid[price["unit"]] = paid.get(price["unit"], 0.0) + entry["hours"] * price["amount"]
        if own := entry.get("kwh"):
            metered += entry["hours"]
            for kind, amount in own.items():
                energy[kind] = energy.get(kind, 0.0) + amount
    return Spent(hours, paid, priced, energy, metered)
