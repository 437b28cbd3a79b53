"""The layers of the architecture: imports point one way, and heavy packages load only when their stage runs."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "explorer"

# What each room may import of the project. Files at the top are rooms of their own; the entry may import all.
VALUES = {"design", "settings", "run", "job", "errors", "planning", "machine", "wording", "checks", "memory"}
VALUES |= {"sources"}
MAY_IMPORT = {
    "design": {"design"},
    "errors": set(),
    "interrupt": set(),
    "wording": set(),
    "speeds": set(),
    "machine": set(),
    "start": set(),
    "memory": {"design", "errors"},
    "reading": {"errors"},
    "console": {"wording"},
    "checks": {"run"},
    "cache": {"reading", "table"},
    "sources": {"cache"},
    "settings": {"design"},
    "run": {"design", "settings"},
    "job": {"design", "machine", "run", "settings"},
    "planning": {"design", "errors", "memory", "settings"},
    "contrast": {"design", "errors", "planning", "settings"},
    "runs": {"contrast", "design", "errors", "planning", "run", "settings"},
    "compose": {"errors", "reading", "settings", "wording"},
    "config": {"compose", "design", "errors", "settings", "unused"},
    "unused": {"design", "errors", "settings"},
    "table": {"errors", "reading"},
    "records": {"errors", "folder", "run", "table"},
    "folder": {"errors", "reading", "run", "settings", "table"},
    "starts": {"folder", "job", "run", "settings", "table", "wording"},
    "changes": {"errors", "folder", "job", "run", "settings", "starts", "wording"},
    "progress": {"changes", "design", "errors", "folder", "planning", "records", "run", "runs", "settings"},
    "analysis": {"analysis", "design", "run", "wording"},
    "training": VALUES | {"training", "cache", "speeds"},
    "search": VALUES
    | {
        "search",
        "training",
        "analysis",
        "records",
        "folder",
        "progress",
        "cache",
        "runs",
        "interrupt",
        "changes",
        "speeds",
        "starts",
    },
    "report": VALUES
    | {"report", "analysis", "contrast", "records", "runs", "folder", "progress", "reading", "table", "starts"},
    "benchmarks": {
        "analysis",
        "answer",
        "checks",
        "config",
        "design",
        "errors",
        "folder",
        "machine",
        "memory",
        "planning",
        "report",
        "search",
        "settings",
        "start",
        "training",
    },
    "tabular": {
        "starts",
        "analysis",
        "answer",
        "config",
        "design",
        "errors",
        "folder",
        "progress",
        "records",
        "report",
        "run",
        "search",
        "settings",
        "table",
        "wording",
    },
    "doctor": {
        "answer",
        "changes",
        "config",
        "doctor",
        "errors",
        "folder",
        "planning",
        "progress",
        "reading",
        "records",
        "run",
        "runs",
        "search",
        "settings",
        "table",
        "wording",
    },
    "live": {"answer", "folder"},
    "move": {"answer", "errors", "folder", "progress", "search", "settings", "table", "wording"},
    "notebook": {"analysis", "answer", "folder", "report"},
    "answer": {
        "analysis",
        "config",
        "contrast",
        "errors",
        "folder",
        "planning",
        "progress",
        "records",
        "report",
        "run",
        "settings",
    },
}
# Packages that only one stage may know.
HEAVY = {
    "torch": {"training"},
    "fvcore": {"training"},
    "sklearn": {"training"},
    "safetensors": {"training"},
    "pyarrow": {"training"},
    "PIL": {"training"},
    "datasets": {"training"},
    "onnxruntime": {"training"},
    "optuna": {"search", "tabular"},
    "sqlalchemy": {"search"},
    "psycopg": set(),
    "pandas": {"records", "analysis", "report", "tabular", "notebook"},
    "scipy": {"analysis"},
    "plotly": {"report", "notebook"},
    "jinja2": {"report"},
    "hydra": {"compose"},
    "omegaconf": {"compose"},
    "pydantic": {"config", "search"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}" if node.module == "explorer" else node.module for alias in node.names
            }
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


# Libraries of clusters, which only the files of their own engine may know.
ENGINES = {"ray": "ray_", "submitit": "slurm_"}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if room(path) not in ("__init__", "__main__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("explorer.")}
    assert ours <= MAY_IMPORT[room(path)]
    for package, rooms in HEAVY.items():
        if package in {name.split(".")[0] for name in imports(path)}:
            assert room(path) in rooms, package


@pytest.mark.parametrize("package", ENGINES)
def test_a_library_of_a_cluster_is_known_to_its_engine_alone(package: str) -> None:
    knowing = [path for path in FILES if package in {name.split(".")[0] for name in imports(path)}]
    assert knowing
    assert all(path.parent.name == "search" and path.stem.startswith(ENGINES[package]) for path in knowing)


def plain(name: str) -> str:
    """A package's name as indices compare it, without versions and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def packages(folder: Path) -> set[str]:
    """The packages that all sources of a folder import, by the names they are installed under."""
    ours = {*sys.stdlib_module_names, "explorer", "tests"}
    found = {name.split(".")[0] for path in folder.rglob("*.py") for name in imports(path)} - ours
    owners = packages_distributions()
    return {plain(owners.get(name, [name])[0]) for name in found}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed, extras = {plain(one) for one in project["dependencies"]}, project["optional-dependencies"]
    optional = {plain(one) for own in extras.values() for one in own}
    assert not needed & optional
    assert packages(PACKAGE) - optional == needed
    assert not packages(ROOT / "tests") - needed - optional


def test_the_rule_covers_every_room() -> None:
    assert {room(path) for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["torch", "pandas", "optuna", "plotly"]),
        (["study=equal_params", "do=plan"], ["torch", "optuna", "plotly"]),
        (["study=equal_params", "do=doctor"], ["torch", "plotly"]),
    ],
)
def test_light_commands_load_no_heavy_package(arguments: list[str], absent: list[str], tmp_path: Path) -> None:
    code = f"import sys; from explorer.__main__ import main; main({arguments!r}); print('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert not loaded & set(absent)
