"""Our own kernels compute what torch computes, and are not needed where they cannot be made."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from explorer.design import Task, parse_name
from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.study.run import Convolution, Execution
from explorer.training.network import kernels
from explorer.training.network.build import build
from explorer.training.network.fused import FusedNorm, FusedNormReLU, fuse
from explorer.training.network.modules import NormReLU
from explorer.training.network.narrow import NarrowConv2d, fits
from explorer.training.network.prepare import prepare
from tests.conftest import broadly

KINDS = [torch.float32, torch.bfloat16]
# Of float32's sums, and of one rounding to bfloat16, relative to the largest value.
CLOSE = {torch.float32: 2e-5, torch.bfloat16: 1e-2}
PLAIN = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
FUSED = replace(PLAIN, norms="fused")
TASK = Task(channels=3, image_size=16, classes=5)


@pytest.fixture(autouse=True)
def compiled() -> None:
    if not kernels.is_available():
        if os.environ.get("EXPLORER_REQUIRE_REAL"):
            pytest.fail("no C compiler: the kernels cannot be tested")
        pytest.skip("no C compiler")


def maps(shape: tuple[int, ...], kind: torch.dtype, seed: int) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5
    return drawn.to(kind).contiguous(memory_format=torch.channels_last)


def apart(one: Tensor | None, other: Tensor | None) -> float:
    assert one is not None
    assert other is not None
    one, other = one.detach().double(), other.detach().double()
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-12))


def norm_of(kind: type[nn.BatchNorm2d], channels: int) -> nn.BatchNorm2d:
    torch.manual_seed(3)
    norm = kind(channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-0.5, 0.5)
    return norm


@pytest.mark.parametrize("shape", [(4, 64, 8, 8), (3, 7, 5, 5), (2, 1, 3, 3), (5, 33, 1, 2), (2, 1100, 3, 3)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", ["norm", "norm, ReLU", "norm, addition, ReLU"])
def test_a_fused_norm_is_torchs(shape: tuple[int, ...], kind: torch.dtype, steps: str) -> None:
    relu, adds = "ReLU" in steps, "addition" in steps
    fused, exact = norm_of(NormReLU if relu else nn.BatchNorm2d, shape[1]), norm_of(nn.BatchNorm2d, shape[1]).double()
    fuse(nn.ModuleList([fused]))
    assert type(fused) is (FusedNormReLU if relu else FusedNorm)
    images, added = maps(shape, kind, 0).requires_grad_(), maps(shape, kind, 1).requires_grad_()
    wide, more = (one.detach().double().requires_grad_() for one in (images, added))
    gradient = maps(shape, kind, 2)
    found, plain = fused(images, added) if adds else fused(images), exact(wide) + (more if adds else 0)
    assert found.dtype == kind
    assert apart(found, plain.relu() if relu else plain) < CLOSE[kind]
    found.backward(gradient)
    # Where a sum is zero but for its rounding, one ReLU may let it through and the other not: ours decides for both.
    plain.backward(gradient.double() * (found > 0 if relu else 1))
    ends = [(images.grad, wide.grad), (fused.weight.grad, exact.weight.grad), (fused.bias.grad, exact.bias.grad)]
    ends += [(fused.running_mean, exact.running_mean), (fused.running_var, exact.running_var)]
    for one, other in [*ends, (added.grad, more.grad)] if adds else ends:
        assert apart(one, other) < CLOSE[kind]
    assert fused.num_batches_tracked == 1
    evaluated, plain = (
        fused.eval()(*([images, added] if adds else [images])),
        exact.eval()(wide) + (more if adds else 0),
    )
    assert apart(evaluated, plain.relu() if relu else plain) < CLOSE[kind]


def test_statistics_hold_where_the_mean_is_far_from_zero() -> None:
    norm = norm_of(nn.BatchNorm2d, 16)
    fuse(nn.ModuleList([norm]))
    images = maps((8, 16, 16, 16), torch.float32, 0) * 0.01 + 1000
    norm(images)
    assert norm.running_var is not None
    exact = images.double().transpose(0, 1).flatten(1).var(dim=1)
    assert apart((norm.running_var - 0.9) * 10, exact) < 0.02  # float32 holds the images themselves this well


@pytest.mark.parametrize("shape", [(4, 64, 8, 8), (3, 16, 5, 7), (2, 48, 1, 1), (2, 32, 17, 9)])
@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_narrow_convolution_is_torchs(shape: tuple[int, ...], width: int, kind: torch.dtype) -> None:
    channels = shape[1]
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, channels, 3, padding=1, groups=channels // width, bias=False)
    other = nn.Conv2d(channels, channels, 3, padding=1, groups=channels // width, bias=False)
    other.load_state_dict(plain.state_dict())
    other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    other.__class__ = NarrowConv2d
    outcomes = []
    for conv in (plain, other):
        images = maps(shape, torch.float32 if conv is plain else kind, 0)
        images = (images.to(kind).float() if conv is plain else images).requires_grad_()
        found = conv(images)
        found.backward(maps(shape, kind, 1).to(found.dtype))
        outcomes.append([found, images.grad, conv.weight.grad])
    assert outcomes[1][0].dtype == kind
    for one, exact in zip(outcomes[1], outcomes[0], strict=True):
        assert apart(one, exact) < CLOSE[kind]


def test_only_what_the_kernel_serves_is_offered_to_it() -> None:
    assert fits(GroupedConv(32, 32, 3, 1, 16, 8))
    for other in (
        GroupedConv(32, 32, 3, 2, 16, 8),
        GroupedConv(32, 32, 5, 1, 16, 8),
        GroupedConv(40, 40, 3, 1, 10, 8),
        GroupedConv(48, 48, 3, 1, 16, 8),
        GroupedConv(16, 32, 3, 1, 4, 8),
    ):
        assert not fits(other)


@pytest.mark.parametrize(
    "name", ["11-8x4d-w32", "11-8x4d-w32-preact", "20-1x8d-w16-basic", "11-4x4d-w16-inception", "16-1x8d-w16-wide"]
)
def test_a_network_with_our_kernels_scores_and_learns_as_torchs(name: str) -> None:
    architecture = parse_name(name)
    plain, other = (build(architecture, TASK, torch.Generator().manual_seed(0)) for _ in range(2))
    choices = tuple(
        Convolution(shape.key, shape.groups, "kernel") for shape in grouped_convs(architecture, TASK) if fits(shape)
    )
    state = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    plain = prepare(plain, PLAIN, TASK)
    other = prepare(other, replace(FUSED, convolutions=choices), TASK)
    assert not [module for module in other.modules() if type(module) in (NormReLU, nn.BatchNorm2d)]
    assert any(isinstance(module, NarrowConv2d) for module in other.modules()) == ("8x4d" in name)
    assert list(other.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[key]) for key, tensor in other.state_dict().items())
    images = maps((6, 3, 16, 16), torch.float32, 1)
    scores, others = plain(images), other(images)
    assert apart(others, scores) < 1e-4
    for found in (scores, others):
        found.square().sum().backward()
    gradients = [(one.grad, two.grad) for one, two in zip(plain.parameters(), other.parameters(), strict=True)]
    assert max(apart(two, one) for one, two in gradients) < 2e-3
    assert apart(other.eval()(images), plain.eval()(images)) < 1e-4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_same_threads_give_the_same_bits(count: int) -> None:
    torch.set_num_threads(count)
    shape = GroupedConv(32, 32, 3, 1, 16, 9)
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1, groups=shape.groups, bias=False), NormReLU(32))
        network[0].__class__ = NarrowConv2d
        fuse(network)
        network(maps((5, 32, 9, 9), torch.float32, 0)).sum().backward()
        found.append([parameter.grad for parameter in network.parameters()])
    for one, two in zip(*found, strict=True):
        assert one is not None
        assert two is not None
        assert torch.equal(one, two)


def test_what_is_not_a_number_stays_so() -> None:
    for kind in KINDS:
        images = maps((2, 16, 4, 4), kind, 0)
        images[0, 3, 1, 1] = float("nan")
        norm = norm_of(NormReLU, 16)
        fuse(nn.ModuleList([norm]))
        assert norm(images)[:, 3].isnan().all()
        assert not norm(images)[:, 4].isnan().any()


@pytest.mark.parametrize("path", broadly(["", "failing"]))
def test_without_a_working_compiler_there_are_no_kernels_and_a_reason(path: str, tmp_path: Path) -> None:
    broken = tmp_path / "failing" / "gcc"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'cannot compile' >&2\nexit 1\n")
    broken.chmod(0o755)
    code = "from explorer.training.network import kernels; print(kernels.is_available()); kernels.library()"
    environment = os.environ | {"PATH": str(tmp_path / path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "False\n"
    assert "the kernels cannot be made here: " in done.stderr


LOADS = "from explorer.training.network import kernels; print(kernels.is_available())"


def loaded(cache: Path, **environment: str) -> str:
    """What a process of its own says of the kernels."""
    done = subprocess.run(
        [sys.executable, "-c", LOADS],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.real
def test_compiled_kernels_are_kept_and_need_no_compiler_again(tmp_path: Path) -> None:
    assert loaded(tmp_path) == "True"
    (kept,) = (tmp_path / "resnext-explorer" / "kernels").iterdir()
    before = kept.stat().st_mtime_ns
    assert loaded(tmp_path, PATH=str(tmp_path)) == "True"
    assert kept.stat().st_mtime_ns == before


@pytest.mark.real
@pytest.mark.parametrize("size", [0, 5, 20_000])
def test_a_damaged_file_in_the_cache_is_made_again(tmp_path: Path, size: int) -> None:
    assert loaded(tmp_path) == "True"
    (kept,) = (tmp_path / "resnext-explorer" / "kernels").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:size])
    assert loaded(tmp_path) == "True"
    (again,) = (tmp_path / "resnext-explorer" / "kernels").iterdir()
    assert len(again.read_bytes()) == len(whole)


@pytest.mark.real
@pytest.mark.parametrize("planted", ["file", "folder", "cache"])
def test_a_library_that_another_user_could_have_written_is_not_loaded(tmp_path: Path, planted: str) -> None:
    assert loaded(tmp_path) == "True"
    folder = tmp_path / "resnext-explorer" / "kernels"
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]
    (kept,) = folder.iterdir()
    assert not kept.stat().st_mode & 0o077
    source = tmp_path / "theirs.c"
    source.write_text(
        f'#include <sys/stat.h>\n__attribute__((constructor)) void f() {{ mkdir("{tmp_path}/ran", 511); }}'
    )
    theirs = tmp_path / "theirs.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", theirs, source], check=True)
    kept.unlink()
    place = folder / f"{kept.stem.partition('-')[0]}-{kernels._digest(theirs)}.so"
    theirs.rename(place)
    place.chmod(0o666 if planted == "file" else 0o600)
    if planted != "file" and os.getuid() == 0:  # a folder of one's own is closed to others, and then it is safe
        os.chown(folder if planted == "folder" else folder.parent, 12345, 12345)
    elif planted != "file":
        pytest.skip("only root can give a folder away")
    assert loaded(tmp_path) == "True"
    assert not (tmp_path / "ran").exists()
    assert place.exists() == (planted != "file")
    assert len(list(folder.iterdir())) == 1


@pytest.mark.real
def test_what_a_compiler_gives_that_is_no_library_is_not_kept(tmp_path: Path) -> None:
    odd = tmp_path / "bin" / "gcc"
    odd.parent.mkdir()
    odd.write_text("#!/bin/sh\nwhile [ $# -gt 0 ]; do [ $1 = -o ] && echo garbage > $2; shift; done\n")
    odd.chmod(0o755)
    assert loaded(tmp_path, PATH=f"{odd.parent}:/usr/bin:/bin") == "False"
    assert list((tmp_path / "resnext-explorer" / "kernels").iterdir()) == []
