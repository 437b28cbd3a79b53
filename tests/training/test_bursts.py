"""Times of a GPU's work, on a made-up GPU whose clock counts what it is given to do."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from explorer.design.grouped import GroupedConv
from explorer.study.run import Convolution, Execution
from explorer.training import bursts, forms_timing
from explorer.training.bursts import BURST, MOST_CALLS, in_bursts
from explorer.training.forms_timing import fastest

SHAPE = GroupedConv(112, 112, 3, 1, 8, 32)
EXECUTION = Execution("cuda", "some GPU", "grouped", "channels_last", "bfloat16", 1, 128)


class Gpu:
    """It does one thing after the other, and its events note when."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def work(self, seconds: float) -> Callable[[], tuple[torch.Tensor, ...]]:
        def one() -> tuple[torch.Tensor, ...]:
            self.now += seconds
            self.calls += 1
            return ()

        return one

    def event(self, *, enable_timing: bool) -> "Event":
        assert enable_timing
        return Event(self)


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    def record(self) -> None:
        self.at = self.gpu.now

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, other: "Event") -> float:
        return 1000 * (other.at - self.at)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    found = Gpu()
    monkeypatch.setattr(torch.cuda, "Event", found.event)
    monkeypatch.setattr(bursts, "Replayed", lambda work, device, calls: work)
    monkeypatch.setattr(forms_timing, "is_usable", lambda device: True)
    return found


@pytest.mark.parametrize(("seconds", "calls"), [(0.1, 1), (0.003, 1), (0.00015, 14), (1e-9, MOST_CALLS)])
def test_a_burst_lasts_two_milliseconds_or_one_call(gpu: Gpu, seconds: float, calls: int) -> None:
    clock = in_bursts(gpu.work(seconds))
    before = gpu.calls
    assert clock() == pytest.approx(seconds, rel=1e-6)
    assert gpu.calls - before == calls
    assert calls == MOST_CALLS or calls * seconds >= BURST


@pytest.fixture
def passes(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, str], float]:
    """Seconds of a pass by groups and layout, one millisecond by default; none that is negative can be executed."""
    found: dict[tuple[int, str], float] = {}

    def made(shape: GroupedConv, choice: Convolution, execution: Execution) -> Callable[[], tuple[torch.Tensor, ...]]:
        seconds = found.get((choice.groups, choice.layout), 1e-3)
        if seconds < 0:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")
        return gpu.work(seconds)

    monkeypatch.setattr(forms_timing, "form_pass", made)
    return found


def chosen(planned: int, limit: float = 60.0, shape: GroupedConv = SHAPE) -> tuple[int, str] | None:
    """Groups and layout of the choice; None if there was none."""
    found = fastest({shape: planned}, EXECUTION, limit)
    (choice,) = found.convolutions
    assert choice.layer == shape.key
    assert found.unmeasured in ((), (shape.key,))
    return None if found.unmeasured else (choice.groups, choice.layout)


@pytest.mark.parametrize("best", [(8, "padded"), (4, "padded"), (2, "same"), (1, "same"), (8, "contiguous")])
def test_the_fastest_form_is_found_by_the_devices_clock(
    passes: dict[tuple[int, str], float], best: tuple[int, str]
) -> None:
    passes[best] = 0.7e-3
    assert chosen(50_000) == best
    passes[best] = 0.99e-3  # within the clock's noise
    assert chosen(50_000) == (8, "same")


def test_measuring_takes_no_more_than_a_tenth_of_the_time_that_the_passes_are_planned_to_take(
    gpu: Gpu, passes: dict[tuple[int, str], float]
) -> None:
    passes[1, "same"] = 0.5e-3
    assert chosen(1000) is None  # one second
    assert chosen(8000) == (1, "same")
    assert gpu.now < 0.1 * 8
    assert chosen(8000, limit=0.0) is None
    gpu.calls = 0
    assert chosen(300) is None
    assert gpu.calls == 0  # however long a pass may take


def test_a_form_that_the_device_cannot_execute_is_left_out(
    passes: dict[tuple[int, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes |= {(2, "same"): -1.0, (8, "padded"): 0.5e-3}
    assert chosen(50_000) == (8, "padded")
    monkeypatch.setattr(forms_timing, "is_usable", lambda device: False)  # as after an illegal memory access
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED"):
        chosen(50_000)


def test_a_pass_has_the_gradients_of_its_maps_and_weights_in_the_plans_numbers_and_order() -> None:
    for precision, layout, order in (
        ("float32", "channels_last", torch.channels_last),
        ("bfloat16", "contiguous", torch.contiguous_format),
    ):
        execution = replace(EXECUTION, device="cpu", micro_batch=2, precision=precision, layout=layout)
        for choice in forms_timing.candidates(replace(SHAPE, stride=2, map_size=7), execution):
            found = forms_timing.form_pass(replace(SHAPE, stride=2, map_size=7), choice, execution)()
            assert isinstance(found, tuple)
            maps, weight = found
            assert maps.shape == (2, 112, 7, 7)
            assert maps.dtype == getattr(torch, precision)
            assert maps.is_contiguous(memory_format=order)
            assert (weight.shape, weight.dtype) == ((112, 14, 3, 3), torch.float32)
