"""The rooms of the architecture: imports go down only, and heavy packages load only when their room runs."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "explorer"
# What each room may import, bottom up; `explorer/__init__.py` leads to the verbs lazily.
ROOMS = {
    "host": set[str](),
    "design": set[str](),
    "study": {"host", "design"},
    "record": {"host", "design", "study"},
    "training": {"host", "design", "study"},
    "analysis": {"host", "design", "study", "record"},
    "engine": {"host", "study", "record", "training"},
    "search": {"host", "design", "study", "record", "training", "analysis", "engine"},
    "report": {"host", "design", "study", "record", "analysis"},
    "verbs": {"host", "design", "study", "record", "training", "analysis", "search", "report"},
    "__main__": {"host", "verbs"},
    "__init__": {"host", "verbs"},
}
# Packages that only some rooms may know, and libraries of clusters, which only the files of their own engine may.
HEAVY = {
    **dict.fromkeys(
        ["torch", "triton", "fvcore", "sklearn", "safetensors", "pyarrow", "PIL", "datasets", "onnxruntime"], "training"
    ),
    "optuna": "search verbs",
    "sqlalchemy": "search",
    "psycopg": "",
    "scipy": "analysis",
    "jinja2": "report",
    "matplotlib": "report",
    "pandas": "record analysis report verbs",
    "plotly": "report verbs",
    "hydra": "verbs",
    "omegaconf": "verbs",
    "huggingface_hub": "verbs",
    **dict.fromkeys(["mlflow", "wandb", "tensorboard"], "search"),
    "pydantic": "study engine report",
}
CLUSTERS = {"ray": "ray_", "submitit": "slurm_"}
TRACKERS = ("mlflow", "wandb", "tensorboard")
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def modules(path: Path) -> set[str]:
    """The dotted names that a file imports, those of its functions included."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    found = modules(path)
    ours = {name.split(".")[1] for name in found if name.startswith("explorer.")} - {"__version__"}
    assert ours - {room(path)} <= ROOMS[room(path)]
    assert not any(name.split(".")[0] in ("benchmarks", "tests") for name in found)
    for package in {name.split(".")[0] for name in found} & set(HEAVY):
        assert room(path) in HEAVY[package].split(), package


def test_the_rule_covers_every_room_and_only_two_files_are_loose() -> None:
    assert {room(path) for path in FILES} == set(ROOMS)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert len((PACKAGE / "__main__.py").read_text().splitlines()) <= 60


def test_no_file_imports_itself_by_way_of_others() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
    top = {
        name: {
            found
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.ImportFrom) and node.module
            for found in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if found in names and found != name and not name.startswith(f"{found}.")
        }
        for name, path in names.items()
    }
    assert len([*TopologicalSorter(top).static_order()]) == len(names)  # raises CycleError, naming the circle


@pytest.mark.parametrize("package", CLUSTERS)
def test_a_library_of_a_cluster_is_known_to_its_engine_alone(package: str) -> None:
    knowing = [path for path in FILES if package in {name.split(".")[0] for name in modules(path)}]
    assert knowing
    assert all(path.parent.name == "engine" and path.stem.startswith(CLUSTERS[package]) for path in knowing)


@pytest.mark.parametrize("package", TRACKERS)
def test_the_library_of_a_tracker_is_known_to_its_own_file_alone(package: str) -> None:
    knowing = [path for path in FILES if package in {name.split(".")[0] for name in modules(path)}]
    assert [path.name for path in knowing] == [f"to_{package}.py"]


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["torch", "pandas", "optuna", "plotly"]),
        (["study=equal_params", "do=plan", "engine=ray"], ["torch", "optuna", "plotly", "ray"]),
        # Whose machine is calibrated, by a process of its own.
        pytest.param(["study=equal_params", "do=plan"], ["torch", "optuna", "plotly"], marks=pytest.mark.real),
    ],
)
def test_light_commands_load_no_heavy_package(arguments: list[str], absent: list[str], tmp_path: Path) -> None:
    code = f"import sys; from explorer.__main__ import main; main({arguments!r}); print('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    loaded = set(done.stdout.rsplit("LOADED", 1)[1].split())
    assert not loaded & set(absent)
