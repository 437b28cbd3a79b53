"""The other versions of Python that are allowed: all that needs no torch is done there, installed without torch.

Each is found on the path or through pyenv. Only there do some faults show, as those of test_comprehensions. The
environments are made in the folders `.venv-3.12` and `.venv-3.13` and used again while what is to be installed stays.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.subjects import SUBJECTS
from explorer.training.sources import decisive_sources

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = ("3.12", "3.13")
OF_TORCH = ("torch", "fvcore")  # fvcore asks for torch
OF_EXTRAS = ("cmaes", "datasets", "matplotlib", "onnx", "onnxruntime", "optuna_dashboard", "psycopg", "ray", "submitit")
LIMIT = 600  # seconds; on an idle machine nothing here takes a tenth of it
# Few tries of few seconds: a machine without network is told of soon.
PIP = ("-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "--timeout=20", "--retries=1")
# That a source's meaning is the same everywhere; and that no connection is left open, of which only 3.13 warns.
TESTS = (
    "tests/training/test_sources.py::test_versions_of_python_agree_on_what_code_means",
    "tests/search/test_mirror.py::test_the_mirror_follows_trials_as_they_go_on",
)
COMMANDS = {
    "study=neighbours do=plan": "42 of 42 runs to do",
    "study=pareto do=plan": "64 of 64 runs to do",
    "study=equal_params_cifar10_jpeg": "2.27 points lower (95 % interval 2.01 to 2.53, n = 10",
    "study=design_space_cifar10_jpeg do=report": "Report: reports/design_space_cifar10_jpeg.html",
    "study=equal_params_cifar10_jpeg do=tabulate": "Wrote tables/equal_params_cifar10_jpeg/runs.parquet",
    "study=equal_params_cifar10_jpeg do=doctor": "Nothing is wrong.",
}
# Also what these Pythons cannot import here, for want of torch.
COMPILE = """
from pathlib import Path
for folder in ("explorer", "benchmarks", "tests", "studies", "docs"):
    for path in Path(folder).rglob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
"""
# All modules that come to be imported, but for those that import torch, fvcore or a library of an extra.
IMPORT = """
import importlib, pkgutil, sys
import benchmarks, explorer
absent = set(sys.argv[1:])
for package in (explorer, benchmarks):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.rpartition(".")[2] == "__main__" or module.name.startswith("benchmarks.gpu."):
            continue
        try:
            importlib.import_module(module.name)
            print(module.name)
        except Exception as error:  # an engine says itself that its library is absent
            cause = error if isinstance(error, ModuleNotFoundError) else error.__context__
            if getattr(cause, "name", "").partition(".")[0] not in absent:
                raise
"""
BARE = "import importlib.util as util; assert not any(map(util.find_spec, ('torch', 'fvcore')))"
SOURCES = "from explorer.training.sources import decisive_sources; print(sorted(decisive_sources().items()))"


def test_every_version_that_is_named_is_tried() -> None:
    named = {entry.rpartition(" ")[2] for entry in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", entry)}
    assert named == {"3.11", *VERSIONS}
    assert PROJECT["requires-python"] == ">=3.11"


def python_of(version: str) -> tuple[str, str]:
    """The path of a Python of this version and its whole version; where there is none, no test goes on."""
    on_path = shutil.which(f"python{version}")
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    of_pyenv = sorted(map(str, versions.glob(f"{version}.*/bin/python{version}")))
    for candidate in filter(None, [on_path, *of_pyenv]):  # what stands on the path for one of pyenv's may not answer
        answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, timeout=LIMIT)
        if answer.returncode == 0 and answer.stdout.startswith(f"Python {version}."):
            return candidate, answer.stdout.strip()
    reason = f"there is no Python {version} on the path or in pyenv (pyenv install {version})"
    assert "EXPLORER_REQUIRE_REAL" not in os.environ, reason
    pytest.skip(reason)


def environment() -> dict[str, str]:
    """The variables of these tests, without those that say which tests they are; pip has its usual cache."""
    own = ("PYTHONPATH", "EXPLORER_REQUIRE_REAL", "EXPLORER_FAULTS", "XDG_CACHE_HOME")
    slow = ("PYTHONDONTWRITEBYTECODE",)  # every command would compile all that it imports
    return {name: value for name, value in os.environ.items() if name not in (*own, *slow)}


def run(where: Path, *words: str | Path) -> str:
    """What a command prints, as one line; it must succeed, and within the limit."""
    told = " ".join(map(str, words))
    try:
        done = subprocess.run(words, cwd=where, capture_output=True, text=True, env=environment(), timeout=LIMIT)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done after {LIMIT} s: {told}")
    assert done.returncode == 0, f"{told}\n{done.stdout}{done.stderr}"
    return " ".join(done.stdout.split())


def install(python: str | Path, *words: str) -> None:
    """Install packages, or fail saying that they cannot be had."""
    try:
        command = [python, *PIP, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=LIMIT)
    except subprocess.TimeoutExpired:
        pytest.fail(f"packages were not installed within {LIMIT} s; is there a network? ({' '.join(words)})")
    if done.returncode != 0:
        pytest.fail(f"packages cannot be installed; is there a network?\n{done.stderr}")


@pytest.fixture
def installed(version: str) -> Path:
    """The folder of commands of an environment in which the project is installed without torch."""
    python, whole_version = python_of(version)
    place = ROOT / f".venv-{version}"
    mark = place / "made-of"
    files = [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    made_of = "\n".join([whole_version, python, str(ROOT), *PIP, *files])
    with FileLock(ROOT / f".venv-{version}.lock", timeout=LIMIT):
        if mark.exists() and mark.read_text(encoding="utf-8") == made_of:
            return place / "bin"
        run(ROOT, python, "-m", "venv", "--clear", place)
        wanted = [line for line in PROJECT["dependencies"] if re.split(r"\W", line)[0] not in OF_TORCH]
        constraints = f"--constraint={ROOT}/constraints.txt"
        install(place / "bin" / "python", constraints, *wanted, "pytest", "hypothesis")
        install(place / "bin" / "python", "--no-deps", "--editable", str(ROOT))
        mark.write_text(made_of, encoding="utf-8")
    return place / "bin"


@pytest.mark.real
@pytest.mark.parametrize("version", VERSIONS)
def test_studies_are_planned_judged_drawn_and_examined_without_torch(installed: Path, tmp_path: Path) -> None:
    python = installed / "python"
    run(tmp_path, python, "-c", BARE)
    run(ROOT, python, "-W", "error", "-c", COMPILE)
    for name in ("equal_params_cifar10_jpeg", "design_space_cifar10_jpeg"):
        shutil.copytree(ROOT / "studies" / name, tmp_path / "studies" / name, ignore=shutil.ignore_patterns("local"))
    imported = run(ROOT, python, "-c", IMPORT, *OF_TORCH, *OF_EXTRAS).split()
    rooms = {path.parent.name for path in (ROOT / "explorer").glob("*/__init__.py")}
    assert {name.split(".")[1] for name in imported if name.count(".") > 1} == rooms
    listed = run(ROOT, python, "-m", "benchmarks", "--help")
    assert all(f"{subject}: " in listed for subject in SUBJECTS)
    for command, answer in COMMANDS.items():
        assert answer in run(tmp_path, installed / "explorer", *command.split())
    assert run(tmp_path, python, "-c", SOURCES) == str(sorted(decisive_sources().items()))
    run(ROOT, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_is_not_there_is_a_failure_only_where_all_must_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    stand_in = tmp_path / f"python{version}"
    for answer in ("", "echo 'pyenv: not chosen'; exit 127", "echo Python 3.1.4"):
        if answer:
            stand_in.write_text(f"#!/bin/sh\n{answer}\n")
            stand_in.chmod(0o755)
        monkeypatch.setenv("EXPLORER_REQUIRE_REAL", "1")
        with pytest.raises(AssertionError, match=rf"there is no Python {version} on the path or in pyenv"):
            python_of(version)
        monkeypatch.delenv("EXPLORER_REQUIRE_REAL")
        with pytest.raises(pytest.skip.Exception, match=rf"there is no Python {version} on the path or in pyenv"):
            python_of(version)
    of_pyenv = tmp_path / "versions" / f"{version}.9" / "bin" / f"python{version}"
    of_pyenv.parent.mkdir(parents=True)
    of_pyenv.write_text(f"#!/bin/sh\necho Python {version}.9\n")
    of_pyenv.chmod(0o755)
    assert python_of(version) == (str(of_pyenv), f"Python {version}.9")


@pytest.mark.real
def test_packages_that_cannot_be_had_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception, match=r"cannot be installed; is there a network\?(?s:.*)annotated"):
        install(sys.executable, f"--target={tmp_path}", "annotated-types>=0.7")
