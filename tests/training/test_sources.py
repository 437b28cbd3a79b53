"""Which sources decide a number, and what changes their digests."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.training import sources
from explorer.training.sources import ENTRY, PACKAGE, _imported, decisive_sources, meaning, reached
from tests.conftest import broadly


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package to be changed."""
    ignored = shutil.ignore_patterns("__pycache__", "report", "templates")
    return Path(shutil.copytree(PACKAGE, tmp_path / "explorer", ignore=ignored))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def changed(copy: Path) -> set[str]:
    """The files whose digests are not those of the package, or that only one of both has."""
    ours, theirs = decisive_sources(), decisive_sources(copy)
    return {path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)}


@pytest.mark.real
def test_comments_docstrings_and_layout_do_not_count(copy: Path) -> None:
    for path in copy.rglob("*.py"):
        path.write_text(f"# a remark\n{ast.unparse(ast.parse(path.read_text()))}\n\n'more words'\n")
    for path in copy.rglob("*.[ch]"):
        path.write_text("/* a\n remark */\n" + path.read_text().replace("\n", " // another\n\t", 1))
    edit(copy / "training" / "loop.py", "Train one run from its seed to its outcome.", "Other words")
    assert changed(copy) == set()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("training/optimizers.py", "nesterov=recipe.nesterov", "nesterov=False"),
        ("design/cost.py", "+ ", "- "),
        ("training/network/kernels/norm.c", "#include", "#define ONE 1\n#include"),
        ("training/network/kernels/grouped.c", "return failed;", "return 0;"),
    ],
)
def test_a_change_of_code_is_a_change_of_that_file_alone(copy: Path, path: str, old: str, new: str) -> None:
    edit(copy / path, old, new)
    assert changed(copy) == {path}


@pytest.mark.real
def test_files_that_runs_begin_or_cease_to_go_through_count(copy: Path) -> None:
    (copy / "training" / "more.py").write_text("ONE = 1\n")
    assert changed(copy) == set()
    edit(copy / "training" / "loop.py", "import time\n", "import time\nimport explorer.training.more\n")
    assert changed(copy) == {"training/loop.py", "training/more.py"}
    edit(
        copy / "training" / "device.py",
        "import torch\n",
        "import torch\nfrom explorer.training.network import export\n",
    )
    exporting = {"training/network/export.py", "training/network/added_source.py", "training/exported_files.py"}
    exporting |= {"design/name.py", "training/network/weights.py"}  # of which it uses functions that no run reached
    assert changed(copy) == {"training/loop.py", "training/more.py", "training/device.py", *exporting}


UNUSED = """
def unused(value):
    return also_unused(value)

def also_unused(value):
    return unused(value) + loop(value)

class Unused:
    def method(self):
        return unused(self)
"""


@pytest.mark.real
def test_functions_and_classes_that_no_run_reaches_do_not_count(copy: Path) -> None:
    for path in ("training/loop.py", "design/cost.py"):
        (copy / path).write_text((copy / path).read_text() + UNUSED)
    assert changed(copy) == set()
    edit(copy / "design" / "name.py", "def display_name(", "def display_name(ignored, ")  # for pages alone
    assert changed(copy) == set()


@pytest.mark.real
@pytest.mark.parametrize(
    "use",
    broadly(
        [
            "KEPT = unused\n",  # when the module is imported
            "KEPT = {'unused': 1}\n",  # a word may be looked up
            "@dataclass\nclass Kept:\n    value = unused\n",  # a decorator may keep it
            "from explorer.training.schedule import unused as other\n",
        ],
        fast=2,
    ),
)
def test_what_a_run_may_reach_counts_however_it_is_named(copy: Path, use: str) -> None:
    (copy / "training" / "schedule.py").write_text((copy / "training" / "schedule.py").read_text() + UNUSED)
    (copy / "training" / "images" / "augment.py").write_text(
        (copy / "training" / "images" / "augment.py").read_text() + use
    )
    assert changed(copy) == {"training/images/augment.py", "training/schedule.py"}


def test_a_chain_of_uses_counts_to_its_end(copy: Path) -> None:
    (copy / "training" / "schedule.py").write_text((copy / "training" / "schedule.py").read_text() + UNUSED)
    asked = "    deterministic(run.execution.deterministic)\n"
    edit(copy / "training" / "loop.py", asked, f"{asked}    also_unused(1)\n")
    before = decisive_sources(copy)
    edit(copy / "training" / "schedule.py", "return also_unused(value)", "return also_unused(value) + 1")
    after = decisive_sources(copy)
    assert {path for path in after if after[path] != before[path]} == {"training/schedule.py"}


@pytest.mark.real
def test_all_that_a_worker_loads_is_among_them_and_what_no_run_goes_through_is_not(tmp_path: Path) -> None:
    code = """
import os, sys, threading
ran = set()
def note(frame, event, _):
    if event == "call" and frame.f_code.co_flags & 1:  # of a function: the bodies of classes are executed by imports
        ran.add((frame.f_code.co_filename, frame.f_code.co_qualname.partition(".")[0]))
from multiprocessing import Pipe
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command
from explorer.study.job import Job, LatencyQuestion, RunDone, HostQuestion


from explorer.study.run import Execution
from explorer.study.runs import runs_of
from explorer.training.worker import work
from tests.conftest import TINY, broadly, broadly
config = read_command(TINY).study
settings = plan_of(config).settings
ours, theirs = Pipe()
outcomes = []

def coordinate():
    ours.send(HostQuestion(config.data, "cpu"))
    there = ours.recv()
    execution = Execution("cpu", there.device_name, "grouped", "channels_last", "float32", 1, 20)
    run = runs_of(plan_of(config), settings, execution, there.data_hash)[0][1]
    ours.send(Job(run, needs_count=True, checkpoints="kept"))
    while not isinstance(event := ours.recv(), RunDone):
        pass
    outcomes.append(event.outcome.status)
    ours.send(LatencyQuestion((settings[0].architecture,), config.data.task, "cpu", "float32", 1))
    ours.recv()
    ours.send(None)

threading.Thread(target=coordinate, daemon=True).start()
threading.setprofile(note)
sys.setprofile(note)
work(theirs, os.getppid())
sys.setprofile(None)
rooms = ("explorer.design.", "explorer.training.")
print("RAN", *(f"{file}:{name}" for file, name in ran if name.isidentifier() and "/explorer/" in file))
print("LOADED", *outcomes, *(sys.modules[name].__file__ for name in sys.modules if name.startswith(rooms)))
"""
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
    assert not done.returncode, done.stderr
    before, _, after = done.stdout.rpartition("LOADED")
    outcome, *files = after.split()
    assert outcome == "ok"
    executed = {tuple(one.rsplit(":", 1)) for one in before.rpartition("RAN")[2].split()}
    names = reached(trees := _imported(PACKAGE), PACKAGE / ENTRY)
    defined = {(str(path), node.name) for path, tree in trees.items() for node in tree.body if hasattr(node, "name")}
    assert len(executed & defined) > 100
    undecorated = {
        (str(path), node.name)
        for path, tree in trees.items()
        for node in tree.body
        if path != PACKAGE / ENTRY and hasattr(node, "name") and not getattr(node, "decorator_list", None)
    }
    assert not {one for one in executed & undecorated if one[1] not in names}
    loaded = {str(Path(path).relative_to(PACKAGE)) for path in files}
    found = set(decisive_sources())
    assert "training/loop.py" in loaded
    of_the_plan = {"design/shape_axes.py", "training/calibration.py"}  # which this test goes through, and no worker
    assert loaded - of_the_plan <= found
    assert {
        "training/network/kernels/norm.c",
        "training/network/kernels/grouped.c",
        "training/network/kernels/numbers.h",
    } <= found
    assert not found & {f"training/{name}.py" for name in ("speed", "network/export", "network/verify", "reference")}


def test_every_import_can_be_followed() -> None:
    for path in PACKAGE.rglob("*.py"):
        # No run reaches a verb, and dispatch imports the one that is asked for; extensions have digests of their own.
        if path.parent.name == "verbs" or path == PACKAGE / "host" / "extensions.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
            name = getattr(node, "attr", getattr(node, "id", ""))
            assert name not in ("import_module", "__import__"), path


SNIPPET = '''
"""Words."""
from __future__ import annotations
import os as system

@decorated
class One(Two, key=3):
    """Words."""
    field: int | None = None
    def method(self, first, /, *rest: str, named: bool = True, **more) -> dict[str, float]:
        """Words."""
        ...

def generic(value, other=(), *, last=None):
    match value:
        case {"key": [1, *_]} if (found := other):
            return f"{found!r:>{last}} and {value:.2f}" f"{value=}" 'joined' + u"text"
        case One(field=None) | None:
            raise ValueError from None
    with open(value) as file, other:
        yield from (lambda *each: each[::2])(file)
    try:
        async_ = [item async for item in other] if last else {**other}
    except* OSError as error:
        global name
        del error
    return -1e-9j, b"\\x00", "\\u00fc", 10**40, not last
'''


def test_versions_of_python_agree_on_what_code_means() -> None:
    text = meaning(SNIPPET.replace("def generic", "async def generic").replace("yield from", "await"))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "be895fc012b0"


def test_sources_are_parsed_once_and_again_when_one_changes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decisive_sources(copy)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "_imported", lambda package: pytest.fail("parsed again"))
        assert decisive_sources(copy) == first
    edit(copy / "training" / "schedule.py", "import math\n", "import math\nONE = 1\n")
    assert decisive_sources(copy) != first
