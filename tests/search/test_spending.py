"""What a start spends: hours of devices, money by a price, energy by meters; told at its end, by its page and JSON."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.host import meters
from explorer.record.spent import Spent, keep_spent, spent_entry, spent_in
from explorer.report.page import render_page
from explorer.search.display import Clock
from explorer.search.spending import Spending
from explorer.study.price import Price, price_in
from tests.conftest import TINY, only_line
from tests.report.reading import plain

QUICK = ["storage=none", "report.live=false"]


@pytest.mark.parametrize(
    ("text", "price"),
    [
        (2.5, Price(2.5)),
        (0, Price(0.0)),
        (1e-5, Price(1e-5)),
        ("2.5", Price(2.5)),
        ("2.5EUR", Price(2.5, "EUR")),
        ("12 USD", Price(12.0, "USD")),
        ("3.1 €", Price(3.1, "€")),
        (None, None),
    ],
)
def test_a_price_is_a_number_with_its_currency_or_without(text: str | float | None, price: Price | None) -> None:
    assert price_in(text) == price


def test_money_is_said_in_hundredths_and_small_amounts_in_two_figures() -> None:
    assert Price(2.5, "EUR").words == "2.50 EUR an hour"
    assert Price(2.5, "EUR").of(1.384) == "3.46 EUR"
    assert Price(2.5, "EUR").of(0.0018) == "0.0045 EUR"
    assert Price(20.0).of(1000) == "20,000.00 in money"
    assert Price(20.0).words == "20.00 an hour"


@pytest.mark.parametrize("price", ["cheap", "2.5 EUR an hour", "-1", "1e99", "1e400", "EUR2", "12k", "2.5E"])
def test_a_price_that_is_none_is_refused(price: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *TINY, f"engine.price='{price}'"]) == 2
    line = only_line(capsys, workplace)
    assert "engine.price=" in line
    assert "engine.price=2.5EUR" in line


def test_starts_add_up_and_what_is_known_of_only_some_says_so() -> None:
    entries = [
        spent_entry("a", 2.0, Price(2.5, "EUR"), {"GPU": 0.3, "processor": 0.1}),
        spent_entry("b", 1.0, None, {}),
        spent_entry("c", 1.0, Price(3.0, "EUR"), {"GPU": 0.2}),
    ]
    found = spent_in({"spent": entries[:1]}, {"spent": entries[1:]}, {})
    assert found == Spent(4.0, {"EUR": 8.0}, 3.0, {"GPU": 0.5, "processor": 0.1}, 3.0)
    assert found.words("cuda") == (
        "4 h 00 min of a GPU, 8.00 EUR for 3 h 00 min of it, "
        "0.6 kWh by meters (GPU 0.5, processor 0.1; all that ran there counts) for 3 h 00 min of it"
    )
    assert spent_in({}) is None
    assert Spent(0.5).words("cpu") == "30 min 00 s of the machine"


def spending_of(clock: Clock, *, devices: int = 1, at_once: int = 1, is_local: bool) -> Spending:
    return Spending(Path("none"), clock, None, None, devices, at_once, is_local)


def test_here_devices_are_held_all_the_time_and_elsewhere_as_runs_hold_them() -> None:
    clock = Clock(began=time.perf_counter() - 3600, seconds=1800.0)
    assert spending_of(clock, devices=2, is_local=True).hours == pytest.approx(2, rel=0.01)
    assert spending_of(clock, at_once=4, is_local=False).hours == pytest.approx(0.125)


@pytest.mark.real
def test_a_study_tells_what_it_spent(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = workplace / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "1000000"), ("energy_uj", "5")):
        (zone / name).write_text(text)
    monkeypatch.setattr(meters.Meters.__init__, "__defaults__", ((), workplace / "powercap"))
    assert main([*TINY, *QUICK, "engine.price=3600EUR"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Spent on tiny: ")]
    assert len(told) == 1
    assert " EUR at 3,600.00 EUR an hour, 0 kWh by meters (processor 0; all that ran there counts)" in told[0]
    folder = workplace / "studies" / "tiny"
    environment = json.loads((folder / "environment.json").read_text())
    (entry,) = environment["spent"]
    assert 0 < entry["hours"] < 0.1
    assert entry["price"] == {"amount": 3600.0, "unit": "EUR"}
    assert entry["kwh"] == {"processor": 0.0}
    assert "price" not in (folder / "config.yaml").read_text()

    before = record_files(folder)
    assert main([*TINY, *QUICK, "engine.price=9EUR"]) == 0  # nothing is left to train, and nothing spent
    assert record_files(folder) == before
    assert main([*TINY, *QUICK, "search.seeds=3"]) == 0  # without a price
    capsys.readouterr()
    study = open_study(folder)
    assert study.spent is not None
    assert study.spent.priced_hours < study.spent.hours
    assert "Its starts held " in plain(render_page(study))
    assert main(["report", "tiny", "--json"]) == 0
    spent = json.loads(capsys.readouterr().out)["spent"]
    assert spent["hours"] == pytest.approx(study.spent.hours)
    assert spent["money"]["EUR"] == pytest.approx(3600 * entry["hours"])


@pytest.mark.real
def test_a_start_that_is_killed_in_its_first_run_has_noted_what_it_spent(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    def note(folder: Path, *_: object) -> int:
        table = folder / "runs.csv"
        rows.append(len(table.read_text().splitlines()) - 1 if table.exists() else 0)
        return 0

    monkeypatch.setattr("explorer.search.spending.keep_spent", note)
    monkeypatch.setattr("explorer.search.spending.APART", 0.1)
    assert main([*TINY, *QUICK]) == 0
    assert rows.count(0) > 1  # at once, and then again and again
    assert rows[-1] == 4


def record_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_start_takes_the_place_of_what_it_noted_before_and_of_no_other(tmp_path: Path) -> None:
    started: dict[str, Any] = {
        "data_hash": "0",
        "images": [1, 1, 1],
        "versions": {},
        "machine": "",
        "platform": "",
        "commit": None,
    }
    (tmp_path / "environment.json").write_text(json.dumps({**started, "started": "2026-01-01T00:00:00Z"}))
    first = keep_spent(tmp_path, spent_entry("a", 1.0, None, {}), None)
    second = keep_spent(tmp_path, spent_entry("a", 2.0, None, {}), None)  # begun in the same second
    assert (first, second) == (0, 1)
    assert keep_spent(tmp_path, spent_entry("a", 3.0, None, {}), second) == 1
    entries = json.loads((tmp_path / "environment.json").read_text())["spent"]
    assert [one["hours"] for one in entries] == [1.0, 3.0]
    (tmp_path / "environment.json").unlink()
    assert keep_spent(tmp_path, spent_entry("a", 4.0, None, {}), second) is None


@pytest.mark.real
def test_the_plan_says_what_it_costs(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, *QUICK]) == 0
    capsys.readouterr()
    more = [*TINY, "search.seeds=9", "engine.price=2.5EUR"]
    assert main(["plan", *more]) == 0
    assert " at 2.50 EUR an hour, from " in plain(" ".join(capsys.readouterr().out.split()))
    assert main(["plan", *more, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["time"]
    assert found["money"] == Price(2.5, "EUR").of(found["seconds"] / 3600)
    assert main(["plan", *TINY, "search.seeds=9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["time"]["money"] is None


def test_notes_are_apart_and_the_last_one_is_always_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []
    monkeypatch.setattr(
        "explorer.search.spending.keep_spent", lambda folder, entry, number: kept.append(entry["hours"])
    )
    spending = replace(spending_of(Clock(), is_local=True), folder=tmp_path)
    for _ in range(3):
        spending.note()
    assert len(kept) == 1
    spending.note(at_end=True)
    assert len(kept) == 2
