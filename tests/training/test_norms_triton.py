"""Batch norm, addition and ReLU by Triton: what can be known of its kernels without a GPU."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from explorer.training import network
from explorer.training.network import kernels
from explorer.training.network.fused import fuse

CASES = Path(__file__).with_name("in_triton_interpreter.py")


@pytest.fixture
def triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton, which keeps what it compiles in a folder of its own."""
    if importlib.util.find_spec("triton") is None:
        if os.environ.get("EXPLORER_REQUIRE_REAL"):
            pytest.fail("no Triton: its kernels cannot be tested")
        pytest.skip("no Triton")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.real
@pytest.mark.usefixtures("triton")
@pytest.mark.parametrize("part", ["not real", "real"])
def test_the_kernels_are_torchs_functions_in_tritons_interpreter(part: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", part, str(CASES)]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)
    assert "skipped" not in done.stdout


# Arguments of the kernels that are maps, and those that are absent where nothing is added, or nothing is learned.
MAPS = {"maps", "added", "found", "gradient", "passed", "to_maps"}
ABSENT: dict[str, set[str]] = {
    "_moments": set(),
    "_normalise": {"added"},
    "_products": {"found", "passed"},
    "_spread": set(),
}
KINDS = {"*bf16": 2, "*fp16": 2, "*fp32": 4}


@pytest.mark.real
@pytest.mark.usefixtures("triton")
@pytest.mark.parametrize(
    ("capability", "kind", "channels"), [(90, "*bf16", 112), (90, "*fp32", 16), (80, "*bf16", 24), (70, "*fp16", 64)]
)
def test_every_kernel_is_compiled_for_a_gpu_to_read_and_write_16_bytes_at_once(
    capability: int, kind: str, channels: int
) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as compiled

    from explorer.training.network import norms_triton

    own = norms_triton.division(8192, channels)
    for name, absent in ABSENT.items():
        for left_out in (absent, set[str]()) if absent else (absent,):
            kernel = getattr(norms_triton, name)
            known: dict[str, Any] = {**own.sizes, "ROWS": own.tile(norms_triton.VALUES // 2), "RELU": True}
            known |= dict.fromkeys(left_out)
            types = {
                one: "constexpr" if one.isupper() or one in left_out else type_of(one, kind) for one in kernel.arg_names
            }
            constants = {
                (place,): known[one] for place, one in enumerate(kernel.arg_names) if types[one] == "constexpr"
            }
            aligned = {
                (place,): [["tt.divisibility", 16]]
                for place, one in enumerate(kernel.arg_names)
                if types[one].startswith("*")
            }
            source = ASTSource(kernel, types, constants, aligned)
            made = compiled(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": norms_triton.WARPS})
            text = made.asm["ptx"]
            reads = sum(
                one in kernel.arg_names and one not in left_out for one in MAPS - {"found", "passed", "to_maps"}
            )
            assert len(re.findall(r"ld\.global\S*\.v4\.b32", text)) >= reads * KINDS[kind]
            assert not re.search(rf"(ld|st)\.global\S*\.b{8 * KINDS[kind]} ", text.replace(".b32 ", ".x ")), name
            assert "ld.local" not in text


def type_of(argument: str, kind: str) -> str:
    """The type of a kernel's argument where maps are of a kind."""
    if argument in MAPS:
        return kind
    if argument in ("epsilon", "momentum"):
        return "fp32"
    return "i32" if argument in ("rows", "units", "span", "splits") else "*i64" if argument == "batches" else "*fp32"


def test_without_triton_there_are_no_kernels_for_a_gpu_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "explorer.training.network.norms_triton", raising=False)
    monkeypatch.delattr(network, "norms_triton", raising=False)
    assert not kernels.is_available("cuda")
    with pytest.raises(RuntimeError, match=r"the kernels cannot be made here: .*triton"):
        fuse(nn.BatchNorm2d(3), "cuda")


@pytest.mark.usefixtures("triton")
def test_without_a_gpu_that_triton_serves_there_are_no_kernels_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (6, 1))
    assert not kernels.is_available("cuda")
    with pytest.raises(RuntimeError, match="the kernels cannot be made here: no GPU that Triton serves"):
        kernels.require("cuda")
