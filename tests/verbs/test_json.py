"""`--json`: the result of every verb, or its error, as the one document on standard output."""

import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.host.commands import VERBS
from explorer.host.json_document import Document, plain, written
from explorer.verbs.command_line import read_command
from explorer.verbs.costs import costs
from explorer.verbs.result import without_json
from tests.conftest import TINY
from tests.made_up import RunError, made_up, made_up_final

ROOT = Path(__file__).parents[2]
BEST = ["study=best", "data=digits", "budget=100k", "search.designs=8"]
Told = Callable[..., Any]


def error(config: Any, run: Any) -> float:
    """Two paths are better by two points, more or less by seed."""
    return float(0.3 + 0.02 * (run.architecture.cardinality == 1) * (1 + run.seed / 50) + run.seed / 1000)


@pytest.fixture
def told(workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Carries out a command with `--json` and gives its document; its exit code must be the one that is named."""
    monkeypatch.setattr("explorer.report.drawing.draw", lambda study, *_: Path("reports") / f"{study.folder.name}.html")

    def tell(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        printed = capsys.readouterr()
        if code == 2:
            assert "\n" not in printed.err.strip().removeprefix("explorer: ")
        return json.loads(printed.out, parse_constant=pytest.fail)

    return tell


def tiny(*words: str, of: RunError | None = error) -> None:
    made_up(read_command([*TINY, *words]).study, error=of)


def best(*words: str) -> None:
    """A finished search with its final round."""
    config = read_command([*BEST, *words]).study
    made_up(config)
    made_up_final(config)


# For each verb how its study is made, its words, and the keys of its document.
SETTING = {"setting", "params", "macs", "activations", "params_deviation", "macs_deviation", "activations_deviation"}
STUDY = {"study", "folder", "question", "verdict", "runs", "measure", "settings", "contrast", "others", "spaces"}
STUDY |= {
    "trend",
    "front",
    "final_round",
    "robustness",
    "told_costs",
    "imported",
    "regime",
    "note",
    "stopped",
    "spent",
    "page",
}
STUDY |= {"disagreement", "leading", "lengths", "equal_epochs"}
CASES: dict[str, tuple[list[str], set[str]]] = {
    "run": (["run", "tiny"], STUDY),
    "report": (["report", "tiny"], STUDY),
    "plan": (
        ["plan", "tiny"],
        {"study", "question", "spaces", "settings", "contrast", "seeds", "first_seed", "search", "images", "runs"}
        | {"taken", "time", "second_verdict", "fitting", "checks", "lengths"},
    ),
    "status": (
        ["status", "tiny"],
        {"name", "state", "done", "wanted", "running_on", "verdict", "bytes", "changed", "by_status", "weights"}
        | {"checks", "device", "started", "page", "mirror"},
    ),
    "doctor": (["doctor", "tiny"], {"study", "running_on", "found", "faults"}),
    "move": (["move", "tiny", "storage=none"], {"study", "mirror", "trials", "before", "removed"}),
    "track": (["track", "tiny", "tensorboard"], {"study", "runs", "trackers"}),
    "push": (["push", "tiny", "table", "--dry"], {"study", "to", "parts"}),
    "delete": (["delete", "tiny", "--yes"], {"study", "deleted", "goes", "stays", "files", "bytes"}),
    "figure": (["figure", "tiny", "--format", "png"], {"study", "figures"}),
    "table": (["table", "tiny", "--format", "csv,md"], {"study", "tables"}),
    "cite": (["cite", "tiny"], {"study", "bibtex"}),
    "tabulate": (["tabulate", "tiny"], {"study", "folder", "files"}),
    "verify": (
        ["verify", "11-2x4d-w16", "repeats=1", "batch_size=2"],
        {"name", "referees", "forms", "rounding", "no_forms", "steps", "batch_size", "device", "agrees", "vague"},
    ),
    "benchmark": (["benchmark", "latency", "architectures=[11-2x4d-w16]", "batch_size=1", "turns=1"], {"latency"}),
    "export": (
        ["export", "architecture=11-2x4d-w16"],
        {"architecture", "params", "macs", "activations", "folder", "files", "trained", "onnx_difference"},
    ),
}
# `list` gives a list; the others are tested below, or beside the studies that they need.
ELSEWHERE = {"import", "list", "pool", "challenge", "fork", "predict", "label"}


def test_every_verb_is_tested() -> None:
    assert {*CASES} | ELSEWHERE == {*VERBS}


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_gives_its_result_under_documented_keys(told: Told, verb: str) -> None:
    words, keys = CASES[verb]
    tiny()
    found = told(*words)
    assert {*found} == keys
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in page for key in keys)
    for path in found.get("files", []) if verb != "delete" else []:
        assert Path(path).is_file()


def test_a_plan_has_exact_numbers_and_says_how_its_time_was_found(told: Told) -> None:
    found = told("plan", *TINY)
    first, second = found["settings"]
    assert {*first} == SETTING | {"done", "left", "seconds"}
    for name, one in (("11-1x4d-w16", first), ("11-2x3d-w16", second)):
        exact = costs(name, channels=1, image_size=8, classes=10)
        assert (one["setting"], one["params"], one["macs"], one["activations"]) == (name, *astuple(exact))
    assert found["spaces"][0]["points"] == found["spaces"][0]["feasible"] == 2
    assert found["spaces"][0]["budget"][0]["measure"] == "params"
    assert found["contrast"] == {"setting": "11-2x3d-w16", "against": "11-1x4d-w16", "margin": 0.01}
    assert found["runs"] == {"done": 0, "left": 4, "wanted": 4, "final_round": 0}
    time = found["time"]
    assert (time["how"], time["workers"]) == ("predicted", 2)
    assert time["seconds"] == pytest.approx(sum(one["seconds"] * one["left"] for one in found["settings"]) / 2)
    assert "calibration of 2026-01-01, right within a factor of two" in time["words"]
    assert {one["check"] for one in found["checks"]} >= {"init", "rate", "length"}
    assert all(one["runs"] > 0 and not one["asked"] for one in found["checks"])
    tiny()
    assert told("plan", "tiny")["time"] | {"workers": 0} == {
        "seconds": 0,
        "workers": 0,
        "how": "nothing to do",
        "words": "",
        "money": None,
    }
    search = told("plan", *BEST)
    assert search["settings"] == []
    assert (search["search"]["designs"], search["search"]["chosen"]) == (8, 0)
    assert search["runs"]["final_round"] > 0


def test_a_verdict_comes_with_the_numbers_of_its_finding(told: Told) -> None:
    tiny("search.seeds=5")
    found = told("report", "tiny")
    contrast = found["contrast"]
    assert found["verdict"]["word"] == contrast["verdict"] == "beats"
    assert found["verdict"]["sentence"].startswith("ResNeXt-11 (2x3d, w16) beats")
    assert contrast["difference"]["mean"] == pytest.approx(-0.0208)
    assert contrast["difference"]["low"] < -0.0208 < contrast["difference"]["high"] < 0
    assert (contrast["n"], contrast["margin"], contrast["alpha"]) == (5, 0.01, 0.05)
    assert contrast["p"] < 0.05
    assert contrast["differences"]["4"] == pytest.approx(-0.0216)
    first = found["settings"][0]
    assert {*first} >= SETTING | {"test_error", "errors", "failed", "validation", "seconds"}
    assert first["test_error"]["mean"] == pytest.approx(0.3228)
    assert found["runs"] == {"done": 10, "wanted": 10, "failed": {}}
    assert found["page"] is None
    half = read_command([*TINY, "name=half"]).study
    made_up(half, lambda setting, seed: "ok" if seed == 0 else "", error=error)
    assert told("report", "half")["verdict"]["word"] == "preliminary"
    assert told("report", "half")["contrast"]["p"] is None
    lost = read_command([*TINY, "name=lost"]).study
    made_up(lost, lambda setting, seed: "diverged")
    found = told("run", "lost", code=1)
    assert found["verdict"]["word"] is None
    assert found["runs"]["failed"] == {"diverged": 4}
    assert found["error"].startswith("lost: no run came through")


@pytest.mark.real
def test_a_final_round_has_its_answer_beside_the_others(told: Told) -> None:
    best()
    found = told("report", "best")["final_round"]
    assert found["answer"] == found["settings"][0]["setting"]
    assert {one["against"] for one in found["contrasts"]} == {one["setting"] for one in found["settings"][1:]}
    assert all({"difference", "p", "n", "verdict"} <= {*one} for one in found["contrasts"])
    assert told("report", "best")["contrast"] is None


@pytest.mark.real
def test_fork_challenge_and_list_tell_as_well(told: Told) -> None:
    tiny()
    forked = told("fork", "tiny", "recipe.epochs=1", "engine.workers=1")  # which trains, in processes of its own
    assert (forked["study"], forked["runs"]["done"], forked["verdict"]["word"]) == ("tiny-2", 4, None)
    asked = told("challenge", "tiny", code=2)
    assert asked["error"].startswith("study.robustness is empty")
    assert [(one["name"], one["state"], one["done"]) for one in told("list")] == [
        ("tiny", "finished", 4),
        ("tiny-2", "finished", 4),
    ]
    gone = told("delete", "tiny", code=1)
    assert (gone["deleted"], gone["files"] > 3) == (False, True)
    Path("studies/tiny/runs.csv").write_text("broken\n")
    faults = told("doctor", "tiny", code=1)["faults"]
    assert any("runs.csv" in one["what"] and one["is_fault"] and not one["repaired"] for one in faults)


def test_a_pool_has_every_studys_difference_and_their_mean(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        monkeypatch.setattr("tests.made_up.DATA_HASH", f"{sum(name.encode()):016x}")
        made_up(read_command([*TINY, f"name={name}", f"data.name={name}", "search.seeds=5"]).study, error=error)
    found = told("pool", "one", "two")
    assert [one["study"] for one in found["studies"]] == ["one", "two"]
    assert found["difference"]["n"] == 2
    assert found["prediction"] == {"low": None, "high": None}
    assert Path(found["page"]).is_file()


def test_what_a_person_types_wrong_is_told_as_an_error(told: Told) -> None:
    assert told("nosuch", code=2)["error"].startswith("nosuch: no such verb or study")
    assert told("plan", "equal_params", "recipe.epochs=0", code=2)["error"].startswith("recipe.epochs=0")
    assert told("--version")["version"]
    assert told("equal_params", "--cfg", "job")["name"] == "equal_params"
    assert {*told("--help")} == {"verbs", "groups"}
    tiny()
    found = told("run", "tiny", "recipe.epochs=3", code=2)
    assert "recipe.epochs was 2, now 3" in " ".join([found["error"], *found.get("more", [])])


def test_the_word_may_stand_anywhere_before_the_names_of_files() -> None:
    for words in (
        ["--json", "plan", "a"],
        ["plan", "--json", "a"],
        ["plan", "a", "json=true"],
        ["plan", "a", "--json"],
    ):
        assert without_json(words) == (["plan", "a"], True)
    assert without_json(["predict", "a", "--", "--json"]) == (["predict", "a", "--", "--json"], False)
    assert without_json(["plan", "json=false"]) == (["plan"], False)


def test_whatever_is_printed_beside_a_document_goes_to_standard_error(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "from explorer.verbs.carry_out import carried_out\n"
        "from explorer.verbs.result import Result\n"
        "def work(console):\n"
        "    console.print('by the console'); print('by print'); os.write(1, b'by C\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"by a process\")'], check=True)\n"
        "    return Result(lambda: {'caf\\u00e9': [float('nan'), '\\udcff\\x9b']})\n"
        "sys.exit(carried_out(work, ['plan'], as_json=True))\n"
    )
    for encoding in ("utf-8", "ascii"):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=tmp_path, check=True)
        assert json.loads(done.stdout) == {"caf\u00e9": [None, "\udcff\x9b"]}
        assert (b"\xc3\xa9" in done.stdout) == (encoding == "utf-8")
        for words in (b"by the console", b"by print", b"by C", b"by a process"):
            assert words in done.stderr
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, env=env, check=False)
    assert done.returncode == 2
    assert b"standard output: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_list_that_breaks_off_is_a_document_all_the_same() -> None:
    def items() -> Iterator[dict[str, float]]:
        yield {"a": math.nan}
        raise KeyboardInterrupt

    stream = io.StringIO()
    document = Document(stream)
    with pytest.raises(KeyboardInterrupt):
        document.write(items())
    document.fail({"error": "Interrupted"})
    assert json.loads(stream.getvalue()) == [{"a": None}, {"error": "Interrupted"}]
    stream = io.StringIO()
    Document(stream).write(iter([]))
    assert json.loads(stream.getvalue()) == []


def test_values_of_numpy_are_plain() -> None:
    found = {np.int64(1): [np.float64("inf"), np.bool_(True), np.arange(2), Path("a"), (None, {"b"})]}
    assert plain(found) == {"1": [None, True, [0, 1], "a", [None, ["b"]]]}
    assert json.loads(written("\u202e\n\u00e9")) == "\u202e\n\u00e9"
    assert "\u202e" not in written("\u202e")
