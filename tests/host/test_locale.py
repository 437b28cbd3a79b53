"""Machines of other kinds: no home, no name for the user, a terminal or a locale of ASCII."""

import ast
import io
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from explorer.__main__ import main
from explorer.host.cache import cache_folder
from explorer.host.console import PlainConsole
from explorer.host.tables import print_rows
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.made_up import made_up

ROOT = Path(__file__).parents[2]
QUESTION = "Größer — ×2, 数?"  # noqa: RUF001 - meant
ESCAPED = r"Gr\xf6\xdfer \u2014 \xd72, \u6570?"
NOBODY = """
import pwd

def getpwuid(uid):
    raise KeyError(uid)

pwd.getpwuid = getpwuid
"""


def nobody(uid: int) -> object:
    raise KeyError(uid)


def test_a_user_without_a_home_has_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = cache_folder("kernels")
    assert folder == tmp_path / f"cache-{os.getuid()}" / "resnext-explorer" / "kernels"
    assert folder.stat().st_mode & 0o777 == 0o700


def ascii_terminal() -> tuple[PlainConsole, io.BytesIO]:
    shown = io.BytesIO()
    return PlainConsole(file=io.TextIOWrapper(shown, encoding="ascii"), width=80), shown


def test_a_terminal_of_ascii_shows_other_letters_as_escapes_in_straight_columns() -> None:
    console, shown = ascii_terminal()
    columns = ("setting", "error in percent", "seeds in all")
    print_rows(console, QUESTION, columns, [("größer", "1 %", "6"), ("a", "2 %", "6")])
    console.print(QUESTION, markup=False, highlight=False)
    with console.status(QUESTION):
        pass
    lines = shown.getvalue().decode("ascii").splitlines()
    assert [line.rstrip() for line in lines if "Gr" in line] == [ESCAPED, ESCAPED]
    rows = [line for line in lines if "%" in line]
    assert r"gr\xf6\xdfer" in rows[0]
    assert rows[0].index("1 %") == rows[1].index("2 %")


def test_a_study_of_other_letters_is_told_on_a_terminal_of_ascii(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["study=fast_path", "recipe.epochs=3", f"study.question={QUESTION}"]
    made_up(read_command(command).study)
    for arguments in (command, [*command, "do=plan"], [*command, "do=report"], [*command, "do=doctor"], ["--help"]):
        terminal = io.TextIOWrapper(shown := io.BytesIO(), encoding="ascii", write_through=True)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            assert main(arguments) == 0
        told = shown.getvalue().decode("ascii")
        assert (ESCAPED in told) == (arguments[-1] not in ("do=report", "--help"))
    assert QUESTION in Path("reports/fast_path.html").read_text(encoding="utf-8")


def test_an_argument_that_is_no_text_is_refused_in_one_line(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study=equal_params_cifar10_jpeg", "data.path=/photos/\udcff", "do=plan"]) == 2
    assert capsys.readouterr().err == (
        "explorer: data.path=/photos/\\xff: is not text in utf-8; rename it, or let a link with a plain name lead "
        "there\n"
    )


@pytest.mark.real
def test_a_locale_of_ascii_opens_names_of_other_letters_and_prints_escapes(tmp_path: Path) -> None:
    """In a study's file and in the command; with `LC_ALL=C` alone Python takes UTF-8 by itself."""
    for kind in ("a", "b"):
        (tmp_path / "größe" / kind).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (8, 8)).save(tmp_path / "größe" / kind / f"{number}.png")
    study = tmp_path / "conf" / "study" / "mine.yaml"
    study.parent.mkdir(parents=True)
    images = "data: {name: x, source: folder, path: größe, classes: 2, image_size: 8, channels: 3, "
    images += "train_images: null, val_images: 4, test_images: 4}\n"
    study.write_text(f"# @package _global_\ndefaults:\n  - fast_path\n{images}", encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONIOENCODING", None)
    command = [sys.executable, "-m", "explorer", "study=mine", "do=plan", f"study.question={QUESTION}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ESCAPED in done.stdout.decode("ascii")


@pytest.mark.real
def test_files_of_text_are_read_and_written_as_utf_8_whatever_the_locale() -> None:
    # What is trained with reads numbers and its own C, and counts as changed when its text is.
    paths = [path for path in (ROOT / "explorer").rglob("*.py") if "training" not in path.parts]
    assert paths
    calls = [
        (path.relative_to(ROOT), node)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert [f"{path}:{node.lineno}" for path, node in calls if is_of_the_locale(node)] == []


def is_of_the_locale(call: ast.Call) -> bool:
    """Whether a call reads or writes text without saying in which encoding."""
    assert isinstance(call.func, ast.Attribute)
    given = {keyword.arg for keyword in call.keywords}
    modes = [one.value for one in call.args if isinstance(one, ast.Constant)]
    is_text = {
        "read_text": True,
        "write_text": True,
        "open": bool({"r", "w", "a", "x"} & set(modes)) or not (call.args or given),
        "run": "text" in given,
        "Popen": "text" in given,
    }
    return is_text.get(call.func.attr, False) and "encoding" not in given


@pytest.mark.real
@pytest.mark.parametrize(
    "locale",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["terminal", "locale"],
)
def test_a_study_runs_without_home_user_and_letters(tmp_path: Path, locale: dict[str, str]) -> None:
    site, place, study = tmp_path / "site", tmp_path / "größe", tmp_path / "größe" / "conf" / "study"
    for folder in (site, study):
        folder.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(NOBODY)
    asked = yaml.safe_dump({"study": {"question": QUESTION}}, allow_unicode=True)
    (study / "mine.yaml").write_text(f"# @package _global_\ndefaults:\n  - equal_params\n{asked}", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "USER")}
    environment = {**kept, **locale, "PYTHONPATH": f"{ROOT}:{site}", "TMPDIR": str(tmp_path)}
    for last in ("name=tiny", "do=doctor"):
        command = [sys.executable, "-m", "explorer", *TINY, "study=mine", last]
        done = subprocess.run(command, cwd=place, capture_output=True, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert ESCAPED in done.stdout.decode("ascii")
    assert (tmp_path / f"cache-{os.getuid()}" / "resnext-explorer").is_dir()
