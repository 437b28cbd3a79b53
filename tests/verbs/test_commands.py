"""The commands that messages give: each is made in one place, is quoted for a shell, and is read as it stands."""

import ast
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import explorer
from explorer.host.commands import VERBS, command_for, program_here
from explorer.host.errors import InputError
from explorer.verbs.command_line import read_command
from explorer.verbs.dispatch import HELP
from explorer.verbs.table import NAMED_VERBS, OWN_VERBS, STUDY_VERBS
from tests.made_up import made_up

SOURCES = sorted(Path(explorer.__file__).parent.rglob("*.py"))
COMMAND = re.compile(rf"(?<!from )\bexplorer ({'|'.join(VERBS)}|\{{)|python -m explorer\b(?!\.)|\bdo=\w")
# What stands in a message for something that is known only then.
FILLED = {
    "verb": "report",
    "others[0]": "plan",
    "str(study.folder / CONFIG)": "studies/equal_params/config.yaml",
    "str(study_folder(config.name) / CONFIG)": "studies/equal_params/config.yaml",
    "file": "studies/equal_params/config.yaml",
    "f'{withheld[0]}=...'": "engine.address=10.0.0.1:6379",
    "f'name={config.fork}'": "name=again",
    "f'name={folder.name}'": "name=again",
    "f'name={name[:90]}-weights'": "name=equal_params-weights",
    "'plan' if verb == 'plan' else ''": "plan",
    "f'data={name}'": "data=digits",
    "'--config'": "--config=studies/equal_params/config.yaml",
    "'storage.weights=last'": "storage.weights=last",
    "'storage=postgres'": "storage=postgres",
    "f'search.only=[{design}]'": "search.only=[29-1x64d]",
    "f'search.forms=[{form}]'": "search.forms=[sum]",
    "f'storage.url={now}'": "storage.url=postgresql://explorer@dbserver/explorer",
    "f'architecture={design}'": "architecture=29-1x64d",
    "hours_key(hours)": "search.hours=2",
    "tracker": "tensorboard",
    "source.file": "results.csv",
    "f'name={study.config.name}'": "name=public",
    "keys": "data=cifar10",
    "f'to=USER/{config.name}'": "to=USER/equal_params",
    "f'to={to}'": "to=USER/equal_params",
}


def spoken(path: Path) -> Iterator[str]:
    """The texts of a file that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def test_a_message_makes_its_commands_where_they_can_be_tried() -> None:
    loose = [
        (path.name, text)
        for path in SOURCES
        for text in spoken(path)
        if COMMAND.search(text) and text != HELP and "tabulate makes a tabular benchmark" not in text
    ]
    # What a clone is told whose `conf` differs from the installed one, and the key of an earlier form.
    assert [text for _, text in loose if "which takes this folder's own" not in text] == []


def given() -> Iterator[tuple[str, list[str]]]:
    """Every command that a file makes, with something real in place of what is known only then."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "command_for":
                yield path.name, [word for one in node.args for word in words_of(one, path, node)]


def words_of(node: ast.expr, path: Path, call: ast.Call) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if ast.unparse(node) == "*words":  # those of a command that was said as one word
        return ["report", "equal_params"]
    if isinstance(node, ast.Starred):
        text = path.read_text(encoding="utf-8")
        function = next(
            one for one in ast.walk(ast.parse(text))
            if isinstance(one, ast.FunctionDef) and one.lineno <= call.lineno <= (one.end_lineno or 0)
        )  # fmt: skip
        named = {ast.unparse(one) for one in ast.walk(function) if isinstance(one, ast.expr)}
        return [value for text, value in FILLED.items() if text in named and "=" in value]
    return [FILLED.get(ast.unparse(node), "equal_params")]


@pytest.mark.parametrize(("file", "words"), [pytest.param(*one, id=" ".join(one[1])) for one in given()])
def test_a_command_that_a_message_gives_is_read_as_it_stands(file: str, words: list[str], workplace: Path) -> None:
    made_up(read_command(["study=equal_params"]).study)
    shown = command_for(*words)
    if "engine.address=10.0.0.1:6379" in words:  # of a study that began with it
        words.append("engine=ray")
        shown = command_for(*words)
    read_command(shlex.split(shown)[1:])


def test_the_commands_of_the_help_are_read_as_they_stand(workplace: Path) -> None:
    for name in ("equal_params", "best", "a", "b", "c"):
        made_up(read_command(["study=equal_params", f"name={name}"]).study)
    real = {"URL": "postgresql://explorer@dbserver/explorer", "FILE": "studies/best/config.yaml", "IMAGE...": "a.png"}
    tried = 0
    for line in HELP.splitlines():
        if not line.startswith("  explorer "):
            continue
        words = shlex.split(re.split(r"\s{2,}", line.strip())[0])[1:]
        words = [re.sub("|".join(map(re.escape, real)), lambda found: real[found[0]], word) for word in words]
        if words[:1] == ["study=best"]:
            words[1] = "data=digits"
        tried += 1
        read_command([word for word in words if word not in ("--cfg", "job")])
    assert tried > 20


def test_a_command_is_quoted_for_a_shell_and_a_study_that_is_called_as_a_verb_is_can_be_named() -> None:
    assert command_for("", "tiny") == "explorer tiny"
    assert command_for("", "plan") == "explorer run plan"
    assert command_for("fork", "tiny", "search.only=[a b]") == "explorer fork tiny 'search.only=[a b]'"


def test_every_verb_takes_settings_of_some_kind() -> None:
    assert sorted(VERBS) == sorted({*STUDY_VERBS, *NAMED_VERBS, *OWN_VERBS})


def test_a_command_begins_with_what_starts_the_program_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "explorer", "status"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["/clone/explorer/__main__.py"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_here() == ".venv/bin/python -m explorer"
    monkeypatch.setattr(sys, "argv", ["/else where/explorer"])
    assert program_here() == "'/else where/explorer'"
    (tmp_path / "explorer").touch(0o755)
    assert program_here() == "explorer"
    monkeypatch.setattr(sys, "argv", ["/clone/explorer/__main__.py"])
    assert program_here() == "explorer"
    assert program_here("benchmarks") == "python -m benchmarks"


def test_a_verb_of_the_earlier_form_is_said_to_be_unknown_under_its_key() -> None:
    with pytest.raises(InputError, match=r"^do=dance: unknown verb"):
        read_command(["do=dance"])


def test_ctrl_c_while_the_program_itself_is_read_ends_it_without_a_traceback() -> None:
    code = """
import os, signal, sys, time
import explorer.__main__ as entry
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupts:
    def find_spec(self, name, *_):
        if name == "explorer.verbs.carry_out":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
sys.meta_path.insert(0, Interrupts())
entry.console()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
