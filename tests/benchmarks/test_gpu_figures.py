"""What was measured on a GPU is written into the documents by a script."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import figures
from benchmarks.gpu.figures import BEGIN, END, Measured, main, tables

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("docs/speed.md", "benchmarks/gpu/README.md")

MICRO: dict[str, Any] = {
    "device": "Some GPU",
    "torch": "9.9",
    "limits": {"device": "Some GPU", "cores": 1, "float32": 5e13, "bfloat16": 7e14, "bandwidth": 3e12},
    "steps_images_per_second": {
        "29-1x64d native batch 128 ours": {"eager": 8000, "graph": 16000},
        "29-1x64d native fused batch 128 ours": {"eager": 8000, "graph": 20000},
        "29-32x4d best batch 128 tuned": {"eager": 7000, "graph": None},
        "29-32x4d best batch 1024 ours": {"error": "out of memory"},
        "29-32x4d 8 px batch 32": {"eager": 1909, "graph": 18472},
        "something else": {"eager": 1, "graph": 1},
    },
    "time_29-32x4d_over_29-1x64d": {"ours graph": 1.284, "tuned graph": 1.3},
    "forms_ms": {
        "112>112_k3_s1_g8_32px": {
            "last 8 ours": 1.0,
            "last 8 tuned": 0.1,
            "last 1 ours": 0.25,
            "padded 8 ours": 0.2,
            "first 8 ours": 0.5,
            "a form of later": 0.01,
        }
    },
    "chosen": {"29-8x14d": {"seconds": 3.21, "forms": ["112>112_k3_s1_g8_32px dense"], "unmeasured": ["x"]}},
    "norms_ms": {"128 x 64 x 32 x 32": {"torch": 0.3, "fused": 0.1, "fused GB/s": 2300.0}},
    "profile": {"29-1x64d": {"wall_ms": 8.1, "host_ms": 0.5, "device_ms": 8.0, "kernels": []}},
    "together_images_per_second": {"29-32x4d 8 px batch 32": {"1": 10_000, "2": 15_000}, "none": {}},
    "streaming_images_per_second": {
        "29-1x64d": {"resident": 16_000, "stream": 15_200, "share": 0.95},
        "x": {"stream": 1},
    },
    "a part of later": {"x": {"y": 1}},
}
LOG = """
===== smoke: python -m explorer study=equal_params name=gpu_smoke
2 at once on Some GPU, 1 threads each, bfloat16 (chosen in 7.8 s; more)
10 runs in 36 s; 71.9 % of the workers' time was not training
===== tests: python -m pytest
28 passed in 42.08s
===== benchmark: python -m explorer do=benchmark
 network    ours  reference
 29-1x64d  15,000.1  5,000.2  6,000.3  3.00x  1.00x
 figure                                       found
 29-1x64d: at least 3x the reference loop      3.00x  pass
 29-32x4d: at most 1.15x the time per image    1.28x  FAIL
===== auto: python -m explorer study=other name=gpu_auto
4 at once on Some GPU, 1 threads each, bfloat16, fused batch norms (chosen in 20.1 s)
"""


def test_tables_hold_what_was_measured_and_leave_out_what_they_do_not_know() -> None:
    text = tables(Measured(MICRO, LOG, brief=False))
    for line in (
        "Measured on Some GPU, torch 9.9 (50.0 Tflop/s in float32, 700.0 in bfloat16, 3.0 TB/s of memory).",
        "| network | forms | batch | kernels | launched one by one | as one graph | gain |",
        "| 29-1x64d | native | 128 | deterministic | 8,000 | 16,000 | 2.00x |",
        "| 29-1x64d | native fused | 128 | deterministic | 8,000 | 20,000 | 2.50x |",
        "| 29-32x4d | best | 128 | any | 7,000 | - | - |",
        "| 29-32x4d | best | 1024 | deterministic | - | - | - |",
        "| 29-32x4d | 8 px | 32 | deterministic | 1,909 | 18,472 | 9.68x |",
        "| 29-32x4d | 29-1x64d | any kernels, as one graph | 1.30 |",
        (
            "| 112>112_k3_s1_g8_32px | 1.000 | 8 groups, padded to a multiple of 8 | 0.200 | 5.0x "
            "| dense 0.250, 8 groups, channels first 0.500, 8 groups 1.000 |"
        ),
        "| 29-8x14d | 3.2 | 112>112_k3_s1_g8_32px dense | 1 |",
        "| 128 x 64 x 32 x 32 | 0.300 | 0.100 | 3.0x | 2,300 |",
        "| 29-32x4d 8 px batch 32 | 2 | 15,000 | 1.50x |",
        "| 29-1x64d | 16,000 | 15,200 | 95% |",
        "| 29-1x64d | 8.10 | 0.50 | 8.00 |",
        "| 29-1x64d | 15,000.1 | 5,000.2 | 6,000.3 | 3.00x |",
        "| 29-1x64d: at least 3x the reference loop | 3.00x | pass |",
        "| 29-32x4d: at most 1.15x the time per image | 1.28x | FAIL |",
        "| smoke | 2 at once on Some GPU, 1 threads each, bfloat16 | 7.8 s | 10 runs in 36 s |",
        "| auto | 4 at once on Some GPU, 1 threads each, bfloat16, fused batch norms | 20.1 s | not finished |",
        "| 28 passed in 42.08s |",
        "Unmeasured: Steps by `torch.compile`, images per second.",
    ):
        assert line in text.splitlines(), line
    assert "later" not in text
    assert "something" not in text


def test_brief_tables_are_of_deterministic_kernels_alone() -> None:
    text = tables(Measured(MICRO, LOG, brief=True))
    assert "| 29-1x64d | native | 128 | 8,000 | 16,000 | 2.00x |" in text
    assert "any kernels" not in text
    assert "| 112>112_k3_s1_g8_32px | 1.000 | 8 groups, padded to a multiple of 8 | 0.200 | 5.0x |" in text
    assert "passed" not in text


def test_what_was_not_measured_is_said() -> None:
    assert tables(Measured({}, "", brief=True)) == "No GPU has been measured: **unmeasured**."
    text = tables(Measured({"device": "Some GPU"}, "", brief=False))
    assert text.startswith("Measured on Some GPU.\n\nUnmeasured: Training steps, images per second; ")
    assert all(title in text for title, *_ in figures.TABLES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The two documents, and what came back."""
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "micro.json").write_text(json.dumps(MICRO))
    (tmp_path / "log.txt").write_text(LOG)
    return tmp_path


def test_the_documents_are_written_between_their_comments_and_again_alike(root: Path) -> None:
    before = {name: (root / name).read_text() for name in DOCUMENTS}
    files = [str(root / name) for name in ("micro.json", "log.txt")]
    for _ in range(2):
        assert main(files, root) == 0
        for name, text in before.items():
            head, _, rest = text.partition(BEGIN)
            tail = rest.partition(END)[2]
            found = (root / name).read_text()
            own = tables(Measured(MICRO, LOG, brief=name.startswith("docs")))
            assert found == f"{head}{BEGIN}\n\n{own}\n\n{END}{tail}"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([], "no file is named; usage: python benchmarks/gpu/figures.py micro.json [log.txt ...]"),
        (["none.json"], "none.json: No such file or directory"),
        (["half.json"], "half.json: Expecting value"),
        (["list.json"], "list.json: is no table of measurements; name a micro.json"),
        (["micro.json", "unmarked"], "docs/speed.md: has not one place between <!-- figures of "),
    ],
)
def test_what_cannot_be_used_is_one_line_and_changes_nothing(
    files: list[str], problem: str, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "half.json").write_text('{"device": ')
    (root / "list.json").write_text("[]")
    if "unmarked" in files:
        (root / "docs" / "speed.md").write_text("# Speed\n")
        files = files[:1]
    monkeypatch.chdir(root)
    before = {name: (root / name).read_text() for name in DOCUMENTS}
    assert main(files, Path()) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"figures: {problem}")
    assert error.count("\n") == 1
    assert {name: (root / name).read_text() for name in DOCUMENTS} == before
