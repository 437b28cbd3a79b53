"""Cases of tests/training/test_norms_triton.py, which runs them in a process of its own: Triton's interpreter executes
the kernels on the CPU only where TRITON_INTERPRET=1 was set before Triton was imported.
"""

import copy
import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from explorer.design import Task, parse_name
from explorer.study.run import Execution
from explorer.training.network import fused, norms_triton
from explorer.training.network.build import build
from explorer.training.network.norms_triton import Division, division, normed
from explorer.training.network.prepare import prepare
from tests.conftest import broadly

assert os.environ.get("TRITON_INTERPRET") == "1"

# Relative to the largest value: of float32's sums, and of one rounding to fewer bits (the interpreter cuts them off).
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}
STEPS = ["norm, ReLU", "norm, addition, ReLU", "norm", "norm, addition"]
SHAPES = [(2, 112, 3, 3), (3, 7, 5, 5), (4, 24, 1, 1), (2, 1, 3, 3), (5, 33, 1, 2), (2, 1100, 1, 3), (1, 64, 2, 2)]
Order = Callable[[Tensor], Tensor]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a quarter of the rows, and fewer sums to read: the interpreter also computes what does not exist."""
    monkeypatch.setattr(norms_triton, "VALUES", 8)
    monkeypatch.setattr(norms_triton, "SPLITS", 4)


def channels_last(maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)


def drawn(shape: tuple[int, ...], kind: torch.dtype, seed: int, order: Order = channels_last) -> Tensor:
    return order((torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5).to(kind))


def apart(one: Tensor | None, other: Tensor | None) -> float:
    assert one is not None
    assert other is not None
    one, other = one.detach().double(), other.detach().double()
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-12))


def norm_of(channels: int) -> nn.BatchNorm2d:
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-0.5, 0.5)
        assert norm.running_mean is not None
        norm.running_mean.uniform_(-0.5, 0.5)
    return norm


def check(shape: tuple[int, ...], kind: torch.dtype, steps: str, order: Order = channels_last) -> None:
    """A training step and an evaluation against torch in float64."""
    relu, adds = "ReLU" in steps, "addition" in steps
    norm = norm_of(shape[1])
    exact = copy.deepcopy(norm).double()
    images, gradient = drawn(shape, kind, 0, order).requires_grad_(), drawn(shape, kind, 2, order) - 0.5
    added = drawn(shape, kind, 1, order).requires_grad_() if adds else None
    wide = images.detach().double().requires_grad_()
    more = None if added is None else added.detach().double().requires_grad_()
    found, plain = normed(norm, images, added, relu=relu), exact(wide) + (0 if more is None else more)
    assert found.dtype == kind
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert apart(found, plain.relu() if relu else plain) < CLOSE[kind]
    found.backward(gradient)  # type: ignore[no-untyped-call]
    # Where a sum is zero but for its rounding, one ReLU may let it through and the other not: ours decides for both.
    plain.backward(gradient.double() * (found > 0 if relu else 1))
    ends = [(images.grad, wide.grad), (norm.weight.grad, exact.weight.grad), (norm.bias.grad, exact.bias.grad)]
    ends += [(norm.running_mean, exact.running_mean), (norm.running_var, exact.running_var)]
    ends += [] if added is None or more is None else [(added.grad, more.grad)]
    for one, other in ends:
        assert apart(one, other) < CLOSE[kind]
    assert norm.num_batches_tracked == 1
    evaluated = normed(norm.eval(), images, added, relu=relu)
    plain = exact.eval()(wide) + (0 if more is None else more)
    assert apart(evaluated, plain.relu() if relu else plain) < CLOSE[kind]
    assert norm.num_batches_tracked == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("steps", broadly(STEPS, 2))
@pytest.mark.parametrize("kind", broadly([torch.float32, torch.bfloat16, torch.float16], 2))
@pytest.mark.parametrize("shape", broadly([(shape,) for shape in SHAPES], 2))
def test_a_step_and_an_evaluation_are_torchs(shape: tuple[int, ...], kind: torch.dtype, steps: str) -> None:
    check(shape, kind, steps)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("rows", "division_of"), broadly([((1, 650, 1), (4, 3)), ((2, 16, 16), (4, 2)), ((3, 9, 9), (4, 1))])
)
def test_sums_over_several_programs_of_several_tiles_are_torchs(
    rows: tuple[int, int, int], division_of: tuple[int, int]
) -> None:
    batch, height, width = rows
    own = division(batch * height * width, 64)
    assert (own.splits, own.span // own.tile(norms_triton.VALUES)) == division_of
    check((batch, 64, height, width), torch.float32, "norm, addition, ReLU")


@pytest.mark.usefixtures("small")
def test_maps_and_gradients_of_any_memory_order_are_taken() -> None:
    check((2, 24, 3, 5), torch.float32, "norm, addition, ReLU", torch.Tensor.contiguous)
    check((2, 24, 3, 5), torch.float32, "norm, ReLU", lambda maps: maps.repeat(1, 2, 1, 1)[:, ::2])
    one = drawn((2, 24, 1, 1), torch.float32, 2)
    outcomes = []
    for gradient in (one.expand(2, 24, 3, 5), one.expand(2, 24, 3, 5).clone()):
        images, norm = drawn((2, 24, 3, 5), torch.float32, 0).requires_grad_(), norm_of(24)
        normed(norm, images, None, relu=True).backward(gradient)  # type: ignore[no-untyped-call]
        outcomes.append(images.grad)
    assert torch.equal(*outcomes)  # type: ignore[arg-type]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("mean", "deviation"), [(100.0, 0.1), (-3000.0, 1.0)])
def test_no_digits_are_lost_where_the_mean_is_large(mean: float, deviation: float) -> None:
    images, norm = drawn((5, 64, 16, 13), torch.float32, 0) * deviation + mean, norm_of(64)
    exact = copy.deepcopy(norm).double()
    found, plain = normed(norm, images, None, relu=False), exact(images.double())
    # float32 holds the mean itself to the last of its 24 bits.
    assert apart(found, plain) < 2 * abs(mean) / deviation * 2**-24
    assert norm.running_var is not None
    assert exact.running_var is not None
    assert apart(norm.running_var - 0.9, exact.running_var - 0.9) < 5e-5 / min(1, deviation)


def test_a_first_value_far_from_all_others_leaves_most_digits() -> None:
    images, norm = drawn((2, 64, 9, 9), torch.float32, 0), norm_of(64)
    images[0, :, 0, 0] = 1000.0
    exact = copy.deepcopy(norm).double()
    assert apart(normed(norm, images, None, relu=False), exact(images.double())) < 2e-4


@pytest.mark.usefixtures("small")
def test_the_same_maps_give_the_same_bits() -> None:
    outcomes = []
    for _ in range(2):
        norm, images = norm_of(33), drawn((3, 33, 9, 9), torch.bfloat16, 0).requires_grad_()
        added = drawn((3, 33, 9, 9), torch.bfloat16, 1).requires_grad_()
        found = normed(norm, images, added, relu=True)
        found.backward(drawn((3, 33, 9, 9), torch.bfloat16, 2))  # type: ignore[no-untyped-call]
        outcomes.append([found, images.grad, added.grad, norm.weight.grad, norm.bias.grad, *norm.buffers()])
    assert all(torch.equal(one, other) for one, other in zip(*outcomes, strict=True))


@pytest.mark.parametrize("adds", [False, True])
def test_what_is_not_a_number_stays_so(adds: bool) -> None:
    images = drawn((2, 16, 4, 4), torch.float32, 0)
    images[0, 3, 1, 1] = float("nan")
    added = torch.zeros_like(images) if adds else None
    images.requires_grad_()
    norm = norm_of(16)
    found = normed(norm, images, added, relu=True)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    for one in (found, images.grad):
        assert one[:, 3].isnan().all()
        assert not one[:, 4].isnan().any()
    assert norm.running_mean is not None
    assert norm.running_mean.isnan().sum() == 1


def test_a_division_follows_from_the_shape_alone_and_leaves_no_program_without_rows() -> None:
    for rows in (1, 3, 64, 2048, 8192, 131072, 2**31 + 7):
        for channels in (1, 3, 16, 24, 64, 112, 256, 448, 1024, 2048, 100_000):
            own = division(rows, channels)
            assert own == division(rows, channels)
            assert own.splits <= norms_triton.SPLITS
            assert (own.splits - 1) * own.span < rows <= own.splits * own.span
            assert own.span % own.tile(norms_triton.VALUES) == 0
            assert channels % own.unit == 0
            assert own.unit == 8 or channels % (2 * own.unit)
            # Its tile lies in the registers, and distances within it need 32 bits.
            assert own.tile(norms_triton.VALUES) * own.columns <= 2**14
            assert own.tile(norms_triton.VALUES) * channels < 2**31


def test_wide_maps_keep_a_large_gpu_busy() -> None:
    assert division(131072, 256) == Division(131072, 256, 8, 64, 4096)
    for rows, channels, programs in (
        (131072, 16, 128),
        (131072, 64, 128),
        (131072, 112, 128),
        (131072, 256, 128),
        (32768, 448, 112),
        (32768, 512, 128),
        (8192, 1024, 128),
        (2048, 256, 32),
        (128, 1024, 16),
    ):
        blocks, splits = division(rows, channels).grid
        assert blocks * splits == programs


@pytest.mark.real
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["11-2x3d-w16", "11-2x3d-w16-preact", "8-1x8d-w16-basic", "11-4x4d-w16-inception"])
def test_a_network_scores_and_learns_as_torchs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_normed", normed)
    task, plan = Task(3, 8, 5), Execution("cpu", "", "grouped", "channels_last", "float32", 1, 20)
    plain, other = (build(parse_name(name), task, torch.Generator().manual_seed(0)) for _ in range(2))
    plain, other = prepare(plain, plan, task), prepare(other, plan, task)
    fused.fuse(other)
    images = drawn((4, 3, 8, 8), torch.float32, 1)
    scores, others = plain(images), other(images)
    assert apart(others, scores) < 1e-4
    for found in (scores, others):
        found.square().sum().backward()
    gradients = [(one.grad, two.grad) for one, two in zip(plain.parameters(), other.parameters(), strict=True)]
    assert max(apart(two, one) for one, two in gradients) < 2e-3
    assert apart(other.eval()(images), plain.eval()(images)) < 1e-4
