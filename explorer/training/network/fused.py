"""Batch norm, addition and ReLU in one pass over the maps, by kernels: in C on a CPU, by Triton on a GPU.

torch reads and writes the maps once for each of the three, and memory is the bottleneck.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from explorer.training.network.kernels import by_channels, call, require
from explorer.training.network.modules import NormReLU


class FusedNormReLU(NormReLU):
    """`NormReLU` by a kernel: the same function of the same weights, summed in another order."""

    def forward(self, input: Tensor, added: Tensor | None = None) -> Tensor:  # noqa: A002 - torch's name
        """`relu(norm(input) + added)`, maps `(batch, channels, height, width)`."""
        return _normed(self, input, added, relu=True)


class FusedNorm(nn.BatchNorm2d):
    """`BatchNorm2d` by a kernel."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """`norm(input)`, maps `(batch, channels, height, width)`."""
        return _normed(self, input, None, relu=False)


def fuse(network: nn.Module, device: str = "cpu") -> None:
    """Replace every batch norm of a network by its fused version. Raises RuntimeError if the device has no kernels."""
    require(device)
    for module in network.modules():
        # Only the class changes: parameters, buffers and their names stay.
        if type(module) is NormReLU:
            module.__class__ = FusedNormReLU
        elif type(module) is nn.BatchNorm2d:
            module.__class__ = FusedNorm


def normed_alone(norm: nn.BatchNorm2d, maps: Tensor) -> Tensor:
    """Batch norm by a kernel, without addition or ReLU."""
    return _normed(norm, maps, None, relu=False)


def _normed(norm: nn.BatchNorm2d, maps: Tensor, added: Tensor | None, *, relu: bool) -> Tensor:
    if maps.is_cuda:
        from explorer.training.network import norms_triton  # which needs Triton

        return norms_triton.normed(norm, maps, added, relu=relu)
    if norm.training:
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        return cast(Tensor, _Fused.apply(maps, norm.weight, norm.bias, added, norm, relu))  # type: ignore[no-untyped-call]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    offset = norm.bias - norm.running_mean * scale
    maps, given = by_channels(maps), _matching(added, maps)
    found = torch.empty_like(maps)
    call("norm_known", maps, given, found, scale, offset, *_size(maps), int(relu), torch.get_num_threads())
    return found


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None, norm: nn.BatchNorm2d, relu: bool
    ) -> Tensor:
        maps, given = by_channels(maps), _matching(added, maps)
        found, mean, invstd = torch.empty_like(maps), torch.empty_like(bias), torch.empty_like(bias)
        statistics = (weight, bias, mean, invstd, norm.running_mean, norm.running_var)
        how = (norm.eps, norm.momentum, int(relu), torch.get_num_threads())
        call("norm_forward", maps, given, found, *statistics, *_size(maps), *how)
        ctx.save_for_backward(maps, found if relu and added is not None else None, weight, bias, mean, invstd)
        ctx.relu, ctx.adds = relu, added is not None
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, found, *statistics = ctx.saved_tensors
        gradient = by_channels(gradient.to(maps.dtype))
        to_maps, to_weight, to_bias = torch.empty_like(maps), *(torch.empty_like(one) for one in statistics[:2])
        # Without ReLU the added maps have the same gradient as the output.
        to_added = gradient if ctx.adds else None
        passed = torch.empty_like(maps) if found is not None else None
        outputs = (to_maps, passed, to_weight, to_bias)
        how = (int(ctx.relu), torch.get_num_threads())
        call("norm_backward", gradient, maps, found, *statistics, *outputs, *_size(maps), *how)
        return to_maps, to_weight, to_bias, to_added if passed is None else passed, None, None


def _matching(other: Tensor | None, maps: Tensor) -> Tensor | None:
    """Maps in the memory order and number type of others; None stays None."""
    return None if other is None else by_channels(other.to(maps.dtype))


def _size(maps: Tensor) -> tuple[int, int]:
    """Number of pixels over the whole batch, and number of channels."""
    return maps.numel() // maps.shape[1], maps.shape[1]
