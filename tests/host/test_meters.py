"""The meters of energy: Linux's counters of processors, and those of GPUs by NVIDIA's own library."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from explorer.host import meters
from explorer.host.meters import Meters

WRAP = 262_143_328_850  # microjoules: what a counter of a real processor can hold


def zone(powercap: Path, folder: str, name: str, microjoules: int) -> Path:
    """A zone as Linux shows it; returns its counter."""
    own = powercap / folder
    own.mkdir(parents=True, exist_ok=True)
    (own / "name").write_text(f"{name}\n")
    (own / "max_energy_range_uj").write_text(f"{WRAP}\n")
    counter = own / "energy_uj"
    counter.write_text(f"{microjoules}\n")
    return counter


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read only when asked."""
    monkeypatch.setattr(meters, "APART", 1e6)


@pytest.mark.usefixtures("quiet")
def test_all_packages_and_memories_are_counted_and_no_zone_within_them(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 7_000_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1-die-0", 0)
    memory = zone(tmp_path, "intel-rapl:0:2", "dram", 5_000_000)
    others = [zone(tmp_path, "intel-rapl:0:0", "core", 0), zone(tmp_path, "intel-rapl:2", "psys", 0)]
    others.append(zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0))  # the first package once more
    found = Meters(powercap=tmp_path)
    assert found.kilowatt_hours == {"processor": 0, "memory": 0}
    first.write_text("3607000000\n")  # 3,600 J are a thousandth of a kilowatt hour
    second.write_text("1800000000\n")
    memory.write_text("725000000\n")
    for other in others:
        other.write_text("999000000\n")
    assert found.kilowatt_hours == pytest.approx({"processor": 0.0015, "memory": 0.0002})
    found.close()


@pytest.mark.usefixtures("quiet")
def test_a_counter_that_starts_again_from_zero_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", WRAP - 1_000_000)
    found = Meters(powercap=tmp_path)
    counter.write_text("2000000\n")
    assert found.kilowatt_hours["processor"] == pytest.approx(3 / 3.6e6)


@pytest.mark.usefixtures("quiet")
def test_what_cannot_be_read_is_not_told_nor_is_a_part_of_it(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    zone(tmp_path, "intel-rapl:0:2", "dram", 0)
    zone(tmp_path, "intel-rapl:1", "package-1", 0).unlink()  # as for a user who may not read it
    found = Meters(powercap=tmp_path)
    assert set(found.kilowatt_hours) == {"memory"}
    counter.write_text("nonsense")
    assert set(found.kilowatt_hours) == {"memory"}
    assert Meters(powercap=tmp_path / "nothing").kilowatt_hours == {}


def test_a_counter_is_read_between_whiles_so_that_no_turn_of_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "APART", 0.01)
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    found = Meters(powercap=tmp_path)
    reads: list[int] = []
    monkeypatch.setattr(found, "_read", lambda: reads.append(1))
    for _ in range(500):
        if len(reads) > 2:
            break
        found._over.wait(0.01)
    assert len(reads) > 2
    found.close()
    counter.unlink()


class Library:
    """NVIDIA's library with GPUs by UUID, each with its millijoules."""

    def __init__(self, millijoules: dict[str, int]) -> None:
        self.millijoules = millijoules

    def nvmlInit(self) -> None:  # noqa: N802 - its name
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in self.millijoules:
            raise RuntimeError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        return self.millijoules[handle]


@pytest.mark.usefixtures("quiet")
def test_gpus_are_counted_by_their_own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library({"GPU-a": 1_000, "GPU-b": 0})
    monkeypatch.setitem(sys.modules, "pynvml", library)
    found = Meters(["GPU-a", "GPU-b"], tmp_path)
    library.millijoules = {"GPU-a": 1_801_000, "GPU-b": 1_800_000}
    assert found.kilowatt_hours == pytest.approx({"GPU": 0.001})
    assert Meters(["GPU-a", "GPU-part"], tmp_path).kilowatt_hours == {}  # the other has no meter
    library.millijoules = {"GPU-a": 5, "GPU-b": 5}  # the driver was loaded anew
    assert found.kilowatt_hours == {}


@pytest.mark.usefixtures("quiet")
def test_without_a_driver_there_is_no_meter_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise RuntimeError("NVML Shared Library Not Found")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=absent))
    assert Meters(["GPU-a"], tmp_path).kilowatt_hours == {}


@pytest.mark.usefixtures("quiet")
def test_the_library_that_is_installed_has_what_is_asked_of_it(tmp_path: Path) -> None:
    import pynvml

    assert {"nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"} <= set(dir(pynvml))
    assert "GPU" not in Meters(["GPU-00000000-0000-0000-0000-000000000000"], tmp_path).kilowatt_hours
