"""An exported design stands on its own and computes the same."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from explorer.design import Task, parse_name
from explorer.host.errors import InputError
from explorer.training.network.build import build
from explorer.training.network.export import export, module_source
from explorer.training.network.weights import fit_weights, read_weights, save_weights, task_in
from explorer.training.streams import stream

TASK = Task(3, 32, 7)
NAMES = [
    "11-4x3d-w16",
    "11-4x3d-w16-plain",
    "11-2.4.8x3.5.2d-w16-k5",
    "11-4x3d-w16-preact",
    "10-1x16d-w16-wide",
    "8-1x16d-w16-basic",
    "11-4x3d-w16-inception",
    "8-2x6d-alexnet_cifar",
    "11-4x3d-w16-deep-pool-se4",
    "8-1x16d-w16-pad-eca-cifar_basic",
    "11-4x3d-w16-preact-semid4",
    "11-2x3d-w16-s3-pool-se4",
]
# Runs far from this project, once for all designs: only torch and what lies in their folders.
ALONE = """
import importlib.util, sys, torch
from safetensors.torch import load_file
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("model", f"{folder}/model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    spec.loader.exec_module(module)
    model = module.network().eval()
    model.load_state_dict(load_file(f"{folder}/weights.safetensors"))
    given = load_file(f"{folder}/given.safetensors")
    with torch.no_grad():
        print(float((model(given["images"]) - given["scores"]).abs().max()))
assert not any(name.partition(".")[0] == "explorer" for name in sys.modules)
"""


@pytest.mark.real
def test_the_python_modules_compute_the_same_without_this_package(tmp_path: Path) -> None:
    for name in NAMES:
        architecture, trained = parse_name(name), tmp_path / f"{name}.safetensors"
        network = build(architecture, TASK, stream(0, "initialisation"))
        network.train()(torch.randn(8, 3, 32, 32))  # running statistics of its own
        network.eval()
        save_weights(network.state_dict(), trained)
        done = export(architecture, TASK, tmp_path / name, weights=trained, onnx=False, seed=0)
        assert done.trained
        assert [Path(path).name for path in done.files] == ["model.py", "weights.safetensors"]
        images = torch.randn(4, 3, 32, 32)
        with torch.no_grad():
            save_file({"images": images, "scores": network(images)}, tmp_path / name / "given.safetensors")
    run = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *NAMES], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["0.0"] * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_python_module_is_readable_and_says_what_it_costs(name: str) -> None:
    source = module_source(parse_name(name), TASK, trained=False)
    compile(source, "model.py", "exec")
    assert "from explorer" not in source
    assert "import explorer" not in source
    assert "parameters" in source.splitlines()[0]
    assert max(map(len, source.splitlines())) <= 140


@pytest.mark.real
@pytest.mark.parametrize("name", [*NAMES[:1], *NAMES[4:5], *NAMES[6:]])
def test_onnx_computes_the_same_to_1e_5(name: str, tmp_path: Path) -> None:
    import onnxruntime

    architecture = parse_name(name)
    done = export(architecture, TASK, tmp_path, weights=None, onnx=True, seed=3)
    assert done.onnx_difference is not None
    assert done.onnx_difference <= 1e-5
    network = build(architecture, TASK, torch.Generator().manual_seed(3)).eval()
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    images = torch.randn(5, 3, 32, 32)  # another batch size than it was written with
    (scores,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(scores), network(images), rtol=0, atol=1e-5)
    assert scores.std() > 0.001


def test_onnx_without_its_packages_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"onnx=true: onnx, onnxscript, onnxruntime not installed; pip install"):
        export(parse_name("11-4x3d-w16"), TASK, tmp_path / "out", weights=None, onnx=True, seed=0)
    assert not (tmp_path / "out").exists()


def weights_file(path: Path) -> Path:
    save_weights(build(parse_name("11-4x3d-w16"), TASK, stream(0, "initialisation")).state_dict(), path)
    return path


def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path) -> None:
    content = weights_file(tmp_path / "whole.safetensors").read_bytes()
    for size in (0, 5, 8, 100, 3000, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:size])
        with pytest.raises(InputError, match=r"cut\.safetensors: is cut short or not a safetensors file") as caught:
            read_weights(tmp_path / "cut.safetensors")
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="there is no such file"):
        read_weights(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="there is no such file"):
        read_weights(tmp_path)


def test_missing_foreign_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    tensors = read_weights(weights_file(tmp_path / "whole.safetensors"))
    network = build(parse_name("11-4x3d-w16"), TASK, stream(1, "initialisation"))
    changed = {key: value for key, value in tensors.items() if key != "fc.bias"}
    changed |= {"layer9.weight": torch.zeros(1), "fc.weight": torch.zeros(2, 3)}
    with pytest.raises(InputError) as caught:
        fit_weights(network, changed, "file")
    assert str(caught.value) == (
        "weights=file: do not fit this network; missing fc.bias; foreign layer9.weight; "
        "of another shape: fc.weight is 2x3, needed 7x64"
    )
    fit_weights(network, tensors, "file")
    assert all(torch.equal(network.state_dict()[key], value) for key, value in tensors.items())


def test_weights_tell_their_channels_and_classes(tmp_path: Path) -> None:
    assert task_in(read_weights(weights_file(tmp_path / "whole.safetensors"))) == (3, 7)
    alexnet = build(parse_name("8-2x6d-alexnet_cifar"), TASK, stream(0, "initialisation")).state_dict()
    assert task_in(alexnet) == (3, 7)
    assert task_in({"other": torch.zeros(1)}) == (None, None)
