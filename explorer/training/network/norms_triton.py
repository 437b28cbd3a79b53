"""Batch norm, addition and ReLU in one pass over the maps, by Triton kernels for CUDA: what kernels/norm.c is for CPUs.

Maps are rows of channels, as channels_last keeps them, and a program takes up to 64 channels of a range of rows. A
sum is taken in two stages: each program's own, and then those of all programs, by each program of the next kernel that
needs it. Which program takes which rows follows from the shape alone, never from the device or from a measurement, and
nothing is added atomically: the same maps give the same bits.

Statistics are float32. A program sums values less the first one of its channel, and means and squares are merged as
Chan, Golub and LeVeque do, so that no digits are lost where the mean is large.
"""

import functools
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from explorer.host.formatting import in_one_line
from explorer.training.network.kernels import by_channels

LEAST_CAPABILITY = (7, 0)  # the oldest GPUs that Triton serves
# Channels of a program: 128 bytes of a row in bfloat16 are what a GPU's memory gives at once. No more numbers than two,
# and one of warps, since every kernel is compiled for each of them, which takes about half a second.
COLUMNS = (16, 64)
WARPS = 16
# Programs, each of which reads the sums of all ranges of rows that the kernel before it has made; as many as fill the
# registers of about 130 multiprocessors, so that each of them has 32 KiB on the way from memory.
SPLITS = 128
VALUES = 32  # of a map that a thread holds at once, in 16-byte loads; half of it where sums need the registers
INTEGERS = ("rows", "units", "span", "splits")  # which the kernels are not compiled anew for


@functools.cache
def require() -> None:
    """Try the kernels that most networks need. Raises RuntimeError with the reason where Triton cannot be used.

    They are compiled here, where that has not been done on this machine before, and not while speeds are compared.
    """
    found = torch.cuda.get_device_capability() if torch.cuda.is_available() else (0, 0)
    if found < LEAST_CAPABILITY:
        raise RuntimeError("the kernels cannot be made here: no GPU that Triton serves")
    channels, kind = COLUMNS[-1], torch.bfloat16 if found >= (8, 0) else torch.float32
    norm, maps = nn.BatchNorm2d(channels).cuda(), torch.zeros(1, channels, 1, 1, device="cuda", dtype=kind)
    try:
        for added, relu in ((None, True), (maps, True), (None, False)):
            output, mean, invstd = forward(maps, added, norm.train(), relu=relu)
            assert mean is not None
            assert invstd is not None
            known = None if added is None else output
            backward(maps, maps, known, norm.weight, norm.bias, mean, invstd, relu=relu)
            forward(maps, added, norm.eval(), relu=relu)
    except Exception as error:  # noqa: BLE001 - Triton raises whatever its compiler, the C compiler or the cache did
        raise RuntimeError(f"the kernels cannot be made here: {in_one_line(error)}") from None


def normed(norm: nn.BatchNorm2d, maps: Tensor, added: Tensor | None, *, relu: bool) -> Tensor:
    """`norm(maps) + added`, then ReLU where asked for, in training with gradients and moving statistics."""
    if norm.training:
        return _Normed.apply(maps, norm.weight, norm.bias, added, norm, relu)  # type: ignore[no-any-return]
    return forward(maps, added, norm, relu=relu)[0]


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None, norm: nn.BatchNorm2d, relu: bool
    ) -> Tensor:
        maps = by_channels(maps)
        found, mean, invstd = forward(maps, added, norm, relu=relu)
        ctx.save_for_backward(maps, found if relu and added is not None else None, weight, bias, mean, invstd)
        ctx.relu, ctx.adds = relu, added is not None
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, found, *statistics = ctx.saved_tensors
        gradient = by_channels(gradient.to(maps.dtype))
        to_maps, to_weight, to_bias, passed = backward(gradient, maps, found, *statistics, relu=ctx.relu)
        return to_maps, to_weight, to_bias, passed if ctx.adds else None, None, None


@dataclass(frozen=True)
class Division:
    """How maps of a shape are divided among programs.

    unit     largest power of two up to 8 that divides the channels: so many values lie side by side in every row
    columns  channels of a program; those beyond the last channel are left out
    span     rows of a program, in one go or a few; the last program's may be fewer
    """

    rows: int
    channels: int
    unit: int
    columns: int
    span: int

    @property
    def splits(self) -> int:
        """Ranges of rows."""
        return -(-self.rows // self.span)

    @property
    def grid(self) -> tuple[int, int]:
        """Programs beside each other in a row come first, since they read from the same part of memory."""
        return -(-self.channels // self.columns), self.splits

    def tile(self, values: int) -> int:
        """Rows that a program holds at once where a thread has so many values."""
        return values * 32 * WARPS // self.columns

    @property
    def sizes(self) -> dict[str, int]:
        """What every kernel is told."""
        return {
            "rows": self.rows,
            "units": self.channels // self.unit,
            "span": self.span,
            "splits": self.splits,
            "UNIT": self.unit,
            "COLUMNS": self.columns,
            "SPLITS": SPLITS,
            "num_warps": WARPS,
        }


def division(rows: int, channels: int) -> Division:
    """How maps of so many rows (batch * height * width) are divided."""
    columns = next((one for one in COLUMNS if channels <= one), COLUMNS[-1])
    splits, tile = max(1, SPLITS // -(-channels // columns)), VALUES * 32 * WARPS // columns
    return Division(rows, channels, min(8, channels & -channels), columns, -(-rows // (splits * tile)) * tile)


def forward(
    maps: Tensor, added: Tensor | None, norm: nn.BatchNorm2d, *, relu: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The normalised maps. In training with the statistics (mean, 1 / deviation); moves the running ones on."""
    maps = by_channels(maps)
    given = None if added is None else by_channels(added.to(maps.dtype))
    own, found = _division(maps), torch.empty_like(maps)
    mean = invstd = partials = None
    if norm.training:
        mean, invstd = torch.empty_like(norm.bias), torch.empty_like(norm.bias)
        partials = mean.new_empty(2, own.splits, own.channels)
        _moments[own.grid](maps, partials, ROWS=own.tile(VALUES), **own.sizes)
    _normalise[own.grid](
        maps,
        given,
        found,
        partials,
        norm.weight,
        norm.bias,
        mean,
        invstd,
        norm.running_mean,
        norm.running_var,
        norm.num_batches_tracked,
        norm.eps,
        norm.momentum,
        ROWS=own.tile(VALUES if given is None else VALUES // 2),
        RELU=relu,
        **own.sizes,
    )
    return found, mean, invstd


def backward(
    gradient: Tensor,
    maps: Tensor,
    found: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    invstd: Tensor,
    *,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of maps, weight, bias and of what was added.

    `found` is what `forward` gave where it added something and had a ReLU, and None elsewhere.
    """
    own, to_maps = _division(maps), torch.empty_like(maps)
    passed = gradient if found is None else torch.empty_like(maps)
    to_weight, to_bias = torch.empty_like(weight), torch.empty_like(bias)
    partials = mean.new_empty(2, own.splits, own.channels)
    statistics = (partials, weight, bias, mean, invstd)
    masks = relu and found is None
    _products[own.grid](
        gradient,
        maps,
        found,
        None if found is None else passed,
        *statistics,
        ROWS=own.tile(VALUES // 2),
        RELU=masks,
        **own.sizes,
    )
    _spread[own.grid](
        passed, maps, to_maps, *statistics, to_weight, to_bias, ROWS=own.tile(VALUES // 2), RELU=masks, **own.sizes
    )
    return to_maps, to_weight, to_bias, passed


def _division(maps: Tensor) -> Division:
    channels = maps.shape[1]
    return division(maps.numel() // channels, channels)


@triton.jit
def _place(rows, channels, span, COLUMNS: tl.constexpr):
    """A program's channels, which of them exist, and its first row and the one after its last."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.program_id(1).to(tl.int64) * span
    return column, column < channels, first, tl.minimum(first + span, rows)


@triton.jit
def _tile(start, stop, channels, column, inside, ROWS: tl.constexpr):
    """Where a tile of rows starts, its values' distances from there, and which of them exist."""
    row = tl.arange(0, ROWS)
    # Only the start of a tile may be far away: distances within it need 32 bits.
    return start * channels, row[:, None] * channels + column[None, :], (row < stop - start)[:, None] & inside[None, :]


@triton.jit(do_not_specialize=INTEGERS)
def _moments(
    maps,
    partials,
    rows,
    units,
    span,
    splits,
    UNIT: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Each program's mean of every channel, and its sum of squares about that mean."""
    channels = units * UNIT
    column, inside, first, last = _place(rows, channels, span, COLUMNS)
    shift = tl.load(maps + first * channels + column, mask=inside, other=0.0).to(tl.float32)
    one = tl.zeros([ROWS, COLUMNS], tl.float32)
    two = tl.zeros([ROWS, COLUMNS], tl.float32)
    start = first
    while start < last:
        place, at, there = _tile(start, last, channels, column, inside, ROWS)
        value = tl.load(maps + place + at, mask=there, other=0.0).to(tl.float32)
        value = tl.where(there, value - shift[None, :], 0.0)
        one += value
        two += value * value
        start += ROWS
    count = (last - first).to(tl.float32)
    total = tl.sum(one, axis=0)
    to = partials + tl.program_id(1) * channels + column
    tl.store(to, shift + total / count, mask=inside)
    squares = tl.sum(two, axis=0) - total * (total / count)
    tl.store(to + splits * channels, tl.where(squares < 0, 0.0, squares), mask=inside)


@triton.jit
def _partials(partials, channels, splits, column, inside, SPLITS: tl.constexpr):
    """Both sums of all ranges of rows, zero for those that do not exist."""
    split = tl.arange(0, SPLITS)
    there = (split < splits)[:, None] & inside[None, :]
    at = split[:, None] * channels + column[None, :]
    one = tl.load(partials + at, mask=there, other=0.0)
    return one, tl.load(partials + splits * channels + at, mask=there, other=0.0)


@triton.jit(do_not_specialize=INTEGERS)
def _normalise(
    maps,
    added,
    found,
    partials,
    weight,
    bias,
    mean,
    invstd,
    running_mean,
    running_var,
    batches,
    epsilon,
    momentum,
    rows,
    units,
    span,
    splits,
    UNIT: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    RELU: tl.constexpr,
):
    """Normalises, adds where something is given and applies ReLU; without `partials` by the running statistics."""
    channels = units * UNIT
    column, inside, first, last = _place(rows, channels, span, COLUMNS)
    slope = tl.load(weight + column, mask=inside, other=0.0)
    base = tl.load(bias + column, mask=inside, other=0.0)
    middle = tl.load(running_mean + column, mask=inside, other=0.0)
    variance = tl.load(running_var + column, mask=inside, other=0.0)
    if partials is not None:
        old_mean, old_variance = middle, variance
        means, squares = _partials(partials, channels, splits, column, inside, SPLITS)
        split = tl.arange(0, SPLITS).to(tl.int64)
        count = tl.where(split < splits, tl.minimum(span, rows - split * span), 0).to(tl.float32)[:, None]
        number = rows.to(tl.float32)
        shift = tl.load(partials + column, mask=inside, other=0.0)
        apart = tl.where(count > 0, means - shift[None, :], 0.0)
        away = tl.sum(count * apart, axis=0) / number
        apart -= away[None, :]
        variance = tl.sum(squares + count * apart * apart, axis=0) / number
        middle = shift + away
    deviation = 1.0 / tl.sqrt_rn(variance + epsilon)
    if partials is not None:  # noqa: SIM102 - known when the kernel is compiled, which the other is not
        if tl.program_id(1) == 0:
            tl.store(mean + column, middle, mask=inside)
            tl.store(invstd + column, deviation, mask=inside)
            unbiased = variance * (rows.to(tl.float32) / tl.maximum(rows - 1, 1).to(tl.float32))
            tl.store(running_mean + column, old_mean + momentum * (middle - old_mean), mask=inside)
            tl.store(running_var + column, old_variance + momentum * (unbiased - old_variance), mask=inside)
            if tl.program_id(0) == 0:
                tl.store(batches, tl.load(batches) + 1)
    slope *= deviation
    # Backwards: what the sums read last is still in the cache.
    start = first + (last - first - 1) // ROWS * ROWS
    while start >= first:
        place, at, there = _tile(start, last, channels, column, inside, ROWS)
        value = tl.load(maps + place + at, mask=there, other=0.0).to(tl.float32)
        value = tl.fma(value - middle[None, :], slope[None, :], base[None, :])
        if added is not None:
            value += tl.load(added + place + at, mask=there, other=0.0).to(tl.float32)
        if RELU:
            value = tl.where(value < 0, 0.0, value)  # what is not a number stays so
        tl.store(found + place + at, value.to(found.dtype.element_ty), mask=there)
        start -= ROWS


@triton.jit(do_not_specialize=INTEGERS)
def _products(
    gradient,
    maps,
    found,
    passed,
    partials,
    weight,
    bias,
    mean,
    invstd,
    rows,
    units,
    span,
    splits,
    UNIT: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    RELU: tl.constexpr,
):
    """Each program's sums of the gradient, and of its product with the maps less their mean.

    The gradient is zero where ReLU let nothing through. Where something was added `found` tells, and `passed` keeps the
    gradient; elsewhere the maps tell where there was a ReLU.
    """
    channels = units * UNIT
    column, inside, first, last = _place(rows, channels, span, COLUMNS)
    middle = tl.load(mean + column, mask=inside, other=0.0)
    if RELU:
        slope = tl.load(weight + column, mask=inside, other=0.0) * tl.load(invstd + column, mask=inside, other=0.0)
        base = tl.load(bias + column, mask=inside, other=0.0)
    one = tl.zeros([ROWS, COLUMNS], tl.float32)
    two = tl.zeros([ROWS, COLUMNS], tl.float32)
    start = first
    while start < last:
        place, at, there = _tile(start, last, channels, column, inside, ROWS)
        back = tl.load(gradient + place + at, mask=there, other=0.0).to(tl.float32)
        value = tl.load(maps + place + at, mask=there, other=0.0).to(tl.float32) - middle[None, :]
        if RELU:
            back = tl.where(tl.fma(value, slope[None, :], base[None, :]) <= 0, 0.0, back)
        if found is not None:
            back = tl.where(tl.load(found + place + at, mask=there, other=0.0) <= 0, 0.0, back)
            tl.store(passed + place + at, back.to(passed.dtype.element_ty), mask=there)
        one += back
        two += tl.where(there, back * value, 0.0)
        start += ROWS
    to = partials + tl.program_id(1) * channels + column
    tl.store(to, tl.sum(one, axis=0), mask=inside)
    tl.store(to + splits * channels, tl.sum(two, axis=0), mask=inside)


@triton.jit(do_not_specialize=INTEGERS)
def _spread(
    gradient,
    maps,
    to_maps,
    partials,
    weight,
    bias,
    mean,
    invstd,
    to_weight,
    to_bias,
    rows,
    units,
    span,
    splits,
    UNIT: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    ROWS: tl.constexpr,
    RELU: tl.constexpr,
):
    """The gradients of the maps, the weight and the bias; RELU: the gradient is zero where the maps were below."""
    channels = units * UNIT
    column, inside, first, last = _place(rows, channels, span, COLUMNS)
    middle = tl.load(mean + column, mask=inside, other=0.0)
    deviation = tl.load(invstd + column, mask=inside, other=0.0)
    slope = tl.load(weight + column, mask=inside, other=0.0) * deviation
    base = tl.load(bias + column, mask=inside, other=0.0)
    ones, twos = _partials(partials, channels, splits, column, inside, SPLITS)
    one = tl.sum(ones, axis=0)
    two = tl.sum(twos, axis=0) * deviation
    if tl.program_id(1) == 0:
        tl.store(to_bias + column, one, mask=inside)
        tl.store(to_weight + column, two, mask=inside)
    one /= rows.to(tl.float32)
    two *= deviation / rows.to(tl.float32)
    start = first + (last - first - 1) // ROWS * ROWS
    while start >= first:
        place, at, there = _tile(start, last, channels, column, inside, ROWS)
        back = tl.load(gradient + place + at, mask=there, other=0.0).to(tl.float32)
        value = tl.load(maps + place + at, mask=there, other=0.0).to(tl.float32) - middle[None, :]
        if RELU:
            back = tl.where(tl.fma(value, slope[None, :], base[None, :]) <= 0, 0.0, back)
        back = (back - one[None, :] - value * two[None, :]) * slope[None, :]
        tl.store(to_maps + place + at, back.to(to_maps.dtype.element_ty), mask=there)
        start -= ROWS
