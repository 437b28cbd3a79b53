"""The wheel that people install: what is in it, and that it starts where there is nothing but what it asks for.

Torch is not installed anew, which would take minutes: the environment is empty but for links to those packages of this
one that the wheel requires, directly or through another. So neither an extra that is imported unasked nor this checkout
can help it out.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import explorer
from explorer.verbs.importing.files import SHIPPED
from tests.conftest import TINY
from tests.photographs import CLASSES, photographs
from tests.test_pythons import LIMIT, environment, install, run
from tests.verbs.test_best import SMALL

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built as pip builds it: with hatchling in an environment of its own."""
    place = tmp_path_factory.mktemp("wheel")
    words = ("-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", f"--wheel-dir={place}", ROOT)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment(), timeout=LIMIT)
    assert done.returncode == 0, f"no wheel was built; is there a network for hatchling?\n{done.stderr}"
    (found,) = place.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel and what it requires."""
    place = tmp_path_factory.mktemp("environment")
    run(place, sys.executable, "-m", "venv", place)
    python = place / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    install(python, "--no-deps", str(wheel))
    (own,) = Distribution.discover(name="resnext-explorer", path=[str(packages)])
    for name, there in required(own).items():
        assert there.files, f"{name}: has no list of its files"
        for top in {file.parts[0] for file in there.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(there.locate_file(top))))
    assert run(place, python, "-c", "import explorer; print(explorer.__file__)") == str(
        packages / "explorer/__init__.py"
    )
    return place / "bin"


def required(own: Distribution) -> dict[str, Distribution]:
    """The packages of this environment that one requires, directly or through another; extras only where asked for."""
    found: dict[str, Distribution] = {}
    asked = [(own, "")]
    while asked:
        package, extra = asked.pop()
        for wanted in map(Requirement, package.requires or []):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                if wanted.name not in found:
                    found[wanted.name] = distribution(wanted.name)
                    asked.append((found[wanted.name], ""))
                assert wanted.specifier.contains(found[wanted.name].version, prereleases=True), str(wanted)
                asked += [(found[wanted.name], one) for one in wanted.extras]
    return found


@pytest.mark.real
def test_the_wheel_holds_the_package_and_its_conf_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    about = {name for name in names if name.startswith(f"resnext_explorer-{explorer.__version__}.dist-info/")}
    places = {"explorer": ROOT / "explorer", "explorer/conf": ROOT / "conf"}
    assert names - about == {
        f"{place}/{path.relative_to(folder).as_posix()}"
        for place, folder in places.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {f"explorer/examples/{SHIPPED}"}
    assert {name.rpartition("/")[2] for name in about} >= {"METADATA", "entry_points.txt", "LICENSE"}
    # That these are among them, whatever stands in the folders.
    assert "explorer/py.typed" in names
    for one in ("conf/study/equal_params.yaml", "report/templates/study.html.j2", "training/network/kernels/grouped.c"):
        assert f"explorer/{one}" in names
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.real
def test_the_installed_wheel_says_its_version_and_helps(installed: Path, tmp_path: Path) -> None:
    for command in ([installed / "explorer"], [installed / "python", "-m", "explorer"]):
        said = run(tmp_path, *command, "--version")
        assert said.startswith(f"resnext-explorer {explorer.__version__} in {installed.parent}")
        assert f"Python {sys.version_info[0]}.{sys.version_info[1]}." in said
        assert "torch missing" not in said
        assert "study: best, cardinality_or_width, " in run(tmp_path, *command, "--help")
    assert "Traceback" not in run(tmp_path, installed / "explorer")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
def test_the_installed_wheel_plans_trains_and_draws_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    command = (installed / "python", "-m", "explorer")
    assert "30 of 30 runs to do" in run(tmp_path, *command, "study=equal_params", "do=plan")
    assert list(tmp_path.iterdir()) == []
    assert "Report: reports/tiny.html" in run(tmp_path, *command, *TINY, "engine.workers=1")
    assert (tmp_path / "studies" / "tiny" / "environment.json").exists()
    lines = ("# @package _global_", "defaults: [equal_params]", "search: {seeds: 2}")
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "mine.yaml").write_text("\n".join(lines))
    assert "10 of 10 runs to do" in run(tmp_path, *command, "study=mine", "do=plan")
    assert "Report: reports/svhn.html" in run(tmp_path, *command, "import", SHIPPED, "data=svhn", "name=svhn")


@pytest.mark.real
def test_from_photographs_to_a_network_with_the_installed_wheel_alone(installed: Path, tmp_path: Path) -> None:
    """In a folder that has only the pictures; then all by the study's name, and the network elsewhere."""
    command, elsewhere = installed / "explorer", tmp_path / "elsewhere"
    photographs(tmp_path / "photos", 20, largest=90)
    photographs(elsewhere / "new", 2, first=900, largest=90)
    assert "photos: 60 images in 3 classes" in run(tmp_path, command, "plan", *SMALL)
    said = run(tmp_path, command, *SMALL)
    assert "Final round: " in said
    assert "Report: reports/best.html" in said
    assert re.search(r"The network, for use elsewhere: \S*explorer export best", said)
    assert "Report: reports/best.html" in run(tmp_path, command, "best")
    (tmp_path / "reports" / "best.html").unlink()
    assert "Report: reports/best.html" in run(tmp_path, command, "report", "best")
    assert run(tmp_path, command, "status", "best").startswith("best")
    assert "bit for bit" in run(tmp_path, command, "export", "best")
    shutil.move(tmp_path / "exports" / "best", elsewhere / "network")
    shutil.move(elsewhere, tmp_path.parent / "elsewhere")
    place = tmp_path.parent / "elsewhere"
    code = "from model import predict; print([predict(path)[0][0] for path in __import__('sys').argv[1:]])"
    images = sorted((place / "new").rglob("*.*"))
    found = run(place / "network", installed / "python", "-c", code, *images)
    told = run(tmp_path, command, "predict", "best", *images)
    assert len(images) == 6
    for name in ast.literal_eval(found):
        assert name in told
    assert set(ast.literal_eval(found)) <= set(CLASSES)


@pytest.mark.real
@pytest.mark.parametrize("folder", ["benchmarks", "tests", "conf"])
def test_what_only_the_repository_needs_is_not_installed(installed: Path, tmp_path: Path, folder: str) -> None:
    code = f"import importlib.util as util; print(util.find_spec('{folder}'))"
    assert run(tmp_path, installed / "python", "-c", code) == "None"
    assert not os.path.lexists(installed.parent / folder)
