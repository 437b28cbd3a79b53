"""Would the tests notice? Small changes of meaning, one at a time: `python -m tests.mutants --count 100 --seed 0`.

A seed draws the changes: another comparison, a branch the other way round, a call, an operand or a filter left out, a
number beside the right one. Each is made in a copy of the project, where the fast tests nearest to the changed module
run until the first one fails. What no test notices is told with its diff: a test is missing there, or the change has
no meaning (a batch of another size, say), which a person has to judge.
"""

import argparse
import ast
import copy
import difflib
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
ENOUGH = 0.9  # of the changes
NEAR = 70  # characters of a line on either side of a change
PATIENCE = (60.0, 3.0)  # seconds that the tests of a change may take, and times what all take without one

# What is changed, by room, and how large a part of all changes falls to it.
ROOMS: dict[str, tuple[int, tuple[str, ...]]] = {
    "analysis": (30, ("analysis/*.py",)),
    "record": (15, ("record/records.py", "record/table.py", "study/run.py")),
    "design": (22, ("design/*.py", "study/designs.py")),
    "training": (
        18,
        ("training/loop.py", "training/schedule.py", "training/images/augment.py", "training/images/split.py"),
    ),
    "search": (15, ("search/rungs.py", "search/sampler.py", "search/trials.py", "study/runs.py", "report/drawing.py")),
}
# The tests nearest to a module, by the beginning of its path; the longest that fits counts.
_STUDIES = ("tests/analysis/test_rates.py", "tests/analysis/test_spaces.py", "tests/analysis/test_looks.py")
_DESIGN = ("tests/design", "tests/analysis/test_spaces.py", "tests/study/test_planning.py")
_DECISIONS = ("tests/search/test_decisions.py",)
_TRAINING = ("tests/training/test_by_hand.py", "tests/training/test_loop.py", "tests/training/test_checkpoint.py")
NEAREST: dict[str, tuple[str, ...]] = {
    "analysis/": ("tests/analysis", *_STUDIES, "tests/benchmarks/test_replay.py"),
    "record/records.py": (
        "tests/record/test_records.py",
        "tests/analysis/test_whole_stories.py",
        "tests/record/test_writes.py",
        "tests/record/test_damage.py",
    ),
    "record/table.py": (
        "tests/record/test_table.py",
        "tests/record/test_writes.py",
        "tests/record/test_records.py",
        "tests/record/test_damage.py",
    ),
    "study/run.py": ("tests/record/test_records.py", "tests/study/test_planning.py", "tests/study/test_config.py"),
    "design/": _DESIGN,
    "study/designs.py": (
        "tests/study/test_planning.py",
        "tests/design/test_by_hand.py",
        "tests/analysis/test_spaces.py",
        "tests/study/test_config.py",
    ),
    "training/": ("tests/training/test_parts.py", *_TRAINING),
    "training/images/augment.py": ("tests/training/test_augment.py", "tests/training/test_parts.py", *_TRAINING),
    "training/images/split.py": (
        "tests/training/test_splits.py",
        "tests/training/test_parts.py",
        *_TRAINING,
        "tests/training/test_image_sources.py",
    ),
    "search/": (
        *_DECISIONS,
        "tests/search/test_trials.py",
        "tests/search/test_sampler.py",
        "tests/search/test_rungs.py",
    ),
    "study/runs.py": (
        *_DECISIONS,
        "tests/study/test_planning.py",
        "tests/analysis/test_rates.py",
        "tests/search/test_rungs.py",
    ),
    "report/drawing.py": (
        "tests/analysis/test_looks.py",
        "tests/analysis/test_spaces.py",
        "tests/report/test_index.py",
        "tests/report/test_kept.py",
    ),
}
# Loaded once, before the processes of the changes are split off: each would take seconds.
HEAVY: tuple[str, ...] = ("hydra", "numpy", "optuna", "pandas", "plotly", "pydantic", "pytest", "rich", "scipy.stats")
HEAVY += ("sklearn.model_selection", "torch", "safetensors.torch", "pyarrow.parquet", "PIL.Image")
COPIED = ("explorer", "tests", "conf", "studies", "docs", "examples", ".ci", ".github")


@dataclass(frozen=True)
class Change:
    """One change of a module: what stands at `place` of a field of a node, by its number in the tree, is replaced.

    source  text of the module: it may be edited while the changes are tried
    new     None: left out
    """

    path: Path
    source: str
    kind: str
    line: int
    node: int
    field: str
    place: int | None
    new: ast.AST | None

    def made(self) -> str:
        """The text of the module with the change, without comments."""
        tree = ast.parse(self.source)
        node, new = list(ast.walk(tree))[self.node], copy.deepcopy(self.new)
        if self.place is None:
            setattr(node, self.field, new)
        elif new is None:
            del getattr(node, self.field)[self.place]
        else:
            getattr(node, self.field)[self.place] = new
        return ast.unparse(ast.fix_missing_locations(tree))

    def diff(self) -> str:
        """What the change does, as lines before and after; of long ones what is near the change."""
        before, after = (text.splitlines() for text in (ast.unparse(ast.parse(self.source)), self.made()))
        lines = [
            line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")
        ]
        pairs = zip(*(line[1:] for line in lines), strict=False)
        same = next((place for place, letters in enumerate(pairs) if len(set(letters)) > 1), 0)
        start = max(0, same - NEAR)
        return "\n".join(f"    {line[0]} {line[1:].rstrip()[start : start + 2 * NEAR]}" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Make changes drawn by a seed, tell what no test noticed, and how many were noticed in each room."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="of all changes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", choices=ROOMS, action="append", help="only of this room; may be given several times")
    parser.add_argument("--limit", type=float, help="seconds for each change; without it, the tests are timed first")
    parser.add_argument("--list", action="store_true", help="only tell the changes")
    given = parser.parse_args(arguments)
    drawn = sample(given.count, given.seed, given.room or list(ROOMS))
    if given.list:
        for room, change in drawn:
            print(f"{room}: {told(change)}\n{change.diff()}")
        return 0
    noticed: Counter[str] = Counter()
    survivors: list[tuple[str, Change]] = []
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        trial = Trial(Path(folder))
        trial.limit = given.limit or trial.time(drawn)
        for number, (room, change) in enumerate(drawn, start=1):
            by, seconds = trial.of(change)
            noticed[room] += bool(by)
            print(f"{number:4} {room:8} {seconds:5.0f} s  {told(change)}: {by or 'NOT NOTICED'}", flush=True)
            if not by:
                survivors.append((room, change))
                print(change.diff(), flush=True)
    print(f"\nNoticed, of {len(drawn)} changes with seed {given.seed}:")
    for room, count in Counter(room for room, _ in drawn).items():
        print(f"  {room:8} {noticed[room]:3} of {count}")
    print(f"  together {noticed.total():3} of {len(drawn)}; {ENOUGH:.0%} are enough")
    for room, change in survivors:
        print(f"\nnot noticed ({room}): {told(change)}\n{change.diff()}")
    return 0 if noticed.total() >= ENOUGH * len(drawn) else 1


def told(change: Change) -> str:
    """Where a change is, and of what kind."""
    return f"{change.path.relative_to(ROOT)}:{change.line} {change.kind}"


def sample(count: int, seed: int, rooms: Sequence[str]) -> list[tuple[str, Change]]:
    """So many different changes, shared out among the rooms; within one, kinds are equally likely in each module."""
    chance, drawn = random.Random(seed), list[tuple[str, Change]]()
    total, taken = sum(ROOMS[room][0] for room in rooms), 0
    for number, room in enumerate(rooms):
        weight, patterns = ROOMS[room]
        wanted = count - taken if number == len(rooms) - 1 else round(count * weight / total)
        taken += wanted
        files = sorted(path for pattern in patterns for path in (ROOT / "explorer").glob(pattern))
        left = {path: found for path in files if (found := changes(path))}
        for _ in range(wanted):
            path = chance.choices(list(left), [len(found) for found in left.values()])[0]
            kind = chance.choice(sorted({change.kind for change in left[path]}))
            change = chance.choice([change for change in left[path] if change.kind == kind])
            left[path] = [other for other in left[path] if (other.kind, other.line) != (change.kind, change.line)]
            left = {path: found for path, found in left.items() if found}
            drawn.append((room, change))
    return drawn


class Trial:
    """A copy of the project in which one change after the other is tried, for `limit` seconds each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.limit = folder, 0.0
        for name in COPIED:
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
        for path in ROOT.iterdir():
            if path.is_file():
                shutil.copy2(path, folder / path.name)
        subprocess.run([sys.executable, "-m", "compileall", "-q", "explorer", "tests"], cwd=folder, check=True)
        os.environ["OMP_NUM_THREADS"] = "1"
        for name in HEAVY:
            importlib.import_module(name)

    def time(self, drawn: Sequence[tuple[str, Change]]) -> float:
        """A limit by what the tests of all changes take without one; they must pass then."""
        tests = list(dict.fromkeys(test for _, change in drawn for test in nearest(change.path)))
        by, seconds = self._run(tests, 3600)
        if by:
            raise SystemExit(f"without any change: {by}; mend that first")
        print(f"Without a change the tests pass in {seconds:.0f} s.", flush=True)
        return PATIENCE[0] + PATIENCE[1] * seconds

    def of(self, change: Change) -> tuple[str, float]:
        """What noticed a change, empty where nothing did, and the seconds that took."""
        path = self.folder / change.path.relative_to(ROOT)
        kept = path.with_suffix(".kept")
        shutil.copy2(path, kept)
        try:
            path.write_text(change.made())
            return self._run(nearest(change.path), self.limit)
        finally:
            shutil.copy2(kept, path)
            kept.unlink()

    def _run(self, tests: Sequence[str], limit: float) -> tuple[str, float]:
        """The first test that fails, or how the run ended otherwise; empty where all passed."""
        started, log = time.monotonic(), self.folder / "log"
        process = os.fork()
        if process == 0:
            _child(self.folder, tests, log)
        status: int | None = None
        while status is None and time.monotonic() - started < limit:
            time.sleep(0.05)
            done, code = os.waitpid(process, os.WNOHANG)
            status = code if done else None
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        if status is None:
            os.waitpid(process, 0)
            return f"not done after {limit:.0f} s", time.monotonic() - started
        seconds, code = time.monotonic() - started, os.waitstatus_to_exitcode(status)
        if code == 0:
            return "", seconds
        lines = log.read_text(errors="replace").splitlines()
        if code not in (1, 2, 4) and code >= 0:  # failed, not collected, or not even begun
            raise SystemExit("\n".join(["the tests cannot be run", *lines[-20:]]))
        failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return failed[-1][:150] if failed else f"ended with {code}", seconds


def _child(folder: Path, tests: Sequence[str], log: Path) -> NoReturn:
    """Run tests in the copy, in a process split off for it: it has loaded nothing of the project yet."""
    code = 3
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(folder)
        sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("explorer", "tests")]:
            del sys.modules[name]
        sys.dont_write_bytecode = True  # two changes of a second and a size could be taken for each other
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("EXPLORER_REQUIRE_REAL", "EXPLORER_FAULTS"):
            os.environ.pop(name, None)
        import pytest

        known = "ignore::pytest.PytestAssertRewriteWarning"  # some of HEAVY have plugins
        options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no", "--hypothesis-seed=0", "-W", known]
        code = int(pytest.main([*options, *tests]))
    except BaseException:  # noqa: BLE001 - nothing of this process may go on as if it were the first one
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def nearest(path: Path) -> list[str]:
    """The tests nearest to a module; those named after it come first."""
    name = str(path.relative_to(ROOT / "explorer"))
    found = NEAREST[max((known for known in NEAREST if name.startswith(known)), key=len)]
    own = ROOT / "tests" / path.parent.relative_to(ROOT / "explorer") / f"test_{path.stem}.py"
    return list(dict.fromkeys((*([str(own.relative_to(ROOT))] if own.exists() else []), *found)))


def changes(path: Path) -> list[Change]:
    """Every change that may be drawn in a module."""
    source = path.read_text()
    tree = ast.parse(source)
    skipped = {node for top in ast.walk(tree) for part in _meaningless(top) for node in ast.walk(part)}
    found = []
    for number, node in enumerate(ast.walk(tree)):
        if node in skipped:
            continue
        for field, value in ast.iter_fields(node):
            for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST) or child in skipped:
                    continue
                line = getattr(child, "lineno", getattr(node, "lineno", 0))
                for kind, new in _alternatives(child):
                    found.append(Change(path, source, kind, line, number, field, place, new))
    return found


def _meaningless(node: ast.AST) -> Iterator[ast.AST]:
    """Parts of a node whose change no test should notice: types, texts, messages, what is asserted, decorators."""
    if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
        yield from ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef):
        yield from (*node.decorator_list, *([node.returns] if node.returns else []))
    if isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases)
    if isinstance(node, ast.arg) and node.annotation:
        yield node.annotation
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    if isinstance(node, ast.Assign) and all(_name(target).istitle() for target in node.targets):
        yield node  # an alias of a type
    if isinstance(node, ast.FormattedValue) and node.format_spec:
        yield node.format_spec
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("dict", "list", "set")
    ):
        yield node
    if isinstance(node, ast.Call) and _name(node.func) in ("cast", "InputError", "ValueError"):
        yield from ast.iter_child_nodes(node)
    if isinstance(node, ast.keyword) and node.arg in ("strict", "repr", "dtype", "kind", "copy"):
        yield node
    if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
        yield node


_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_OPPOSITE = [("min", "max"), ("any", "all"), ("ceil", "floor"), ("minimum", "maximum"), ("argmin", "argmax")]
_OPPOSITE += [("low", "high"), ("mean", "median"), ("sf", "cdf"), ("left", "right"), ("val", "test")]
_OTHER = {one: other for pair in _OPPOSITE for one, other in (pair, pair[::-1])}
_WRAPPING = {"abs", "round", "sorted", "sqrt", "log", "log2", "exp", "set", "int", "rint", "ceil", "floor", "sort"}


def _alternatives(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What could stand in the place of a node, by kind."""
    for kind, make in _KINDS.get(type(node), ()):
        for new in make(node):
            yield kind, new


def _compared(node: Any) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            yield ast.Compare(node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators)


def _counted(node: Any) -> Iterator[ast.AST]:
    if type(node.op) in _COUNTED and not any(map(_is_text, (node.left, node.right))):
        yield ast.BinOp(node.left, _COUNTED[type(node.op)](), node.right)


def _one_operand(node: Any) -> Iterator[ast.AST]:
    if not any(map(_is_text, (node.left, node.right))):
        yield from (node.left, node.right)


def _joined(node: Any) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _one_condition_less(node: Any) -> Iterator[ast.AST]:
    for place in range(len(node.values)):
        left = [*node.values[:place], *node.values[place + 1 :]]
        yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)


def _number(node: Any) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node.value, float):
        yield from (ast.Constant(node.value * 2 or 1.0), ast.Constant(node.value / 2 or -1.0))


def _other_name(node: Any) -> Iterator[ast.AST]:
    if isinstance(node.ctx, ast.Load) and isinstance(node, ast.Attribute) and node.attr in _OTHER:
        yield ast.Attribute(node.value, _OTHER[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in ("min", "max", "any", "all"):
        yield ast.Name(_OTHER[node.id], node.ctx)


def _arguments_swapped(node: Any) -> Iterator[ast.AST]:
    plain = [one for one in node.args if not isinstance(one, ast.Starred)]
    if len(plain) == len(node.args) >= 2 and _name(node.func) not in ("min", "max", "minimum", "maximum", "isinstance"):
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)


def _one_argument_less(node: Any) -> Iterator[ast.AST]:
    for place in range(len(node.keywords)):
        if node.keywords[place].arg not in ("strict", "repr", "dtype", "kind", "copy"):
            yield ast.Call(node.func, node.args, [*node.keywords[:place], *node.keywords[place + 1 :]])
    if _name(node.func) in ("min", "max", "minimum", "maximum") and len(node.args) == 2:
        yield from node.args


def _unwrapped(node: Any) -> Iterator[ast.AST]:
    if _name(node.func) in _WRAPPING and len(node.args) == 1:
        yield node.args[0]


def _slice(node: Any) -> Iterator[ast.AST]:
    for bound in ("lower", "upper"):
        if getattr(node, bound) is not None:
            yield ast.Slice(**{**{name: getattr(node, name) for name in ("lower", "upper", "step")}, bound: None})


def _no_filter(node: Any) -> Iterator[ast.AST]:
    for place in range(len(node.ifs)):
        ifs = [*node.ifs[:place], *node.ifs[place + 1 :]]
        yield ast.comprehension(node.target, node.iter, ifs, node.is_async)


def _branches(node: Any) -> Iterator[ast.AST]:
    yield ast.IfExp(node.test, node.orelse, node.body)


def _never(node: Any) -> Iterator[ast.AST]:
    yield ast.If(ast.Constant(False), node.body, node.orelse)


def _negated(node: Any) -> Iterator[ast.AST]:
    yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def _left_out(node: Any) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call):
        yield ast.Pass()


def _added_up(node: Any) -> Iterator[ast.AST]:
    if type(node.op) in _COUNTED and not _is_text(node.value):
        yield ast.AugAssign(node.target, _COUNTED[type(node.op)](), node.value)


def _operand(node: Any) -> Iterator[ast.AST]:
    yield node.operand


def _other_way(node: Any) -> Iterator[ast.AST]:
    yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


_KINDS: dict[type[ast.AST], tuple[tuple[str, Callable[[Any], Iterator[ast.AST]]], ...]] = {
    ast.Compare: (("comparison", _compared),),
    ast.BinOp: (("operator", _counted), ("operand left out", _one_operand)),
    ast.BoolOp: (("and/or", _joined), ("condition left out", _one_condition_less)),
    ast.UnaryOp: (("sign", _operand),),
    ast.Constant: (("number", _number),),
    ast.Attribute: (("opposite", _other_name),),
    ast.Name: (("opposite", _other_name),),
    ast.Call: (
        ("arguments swapped", _arguments_swapped),
        ("argument left out", _one_argument_less),
        ("call unwrapped", _unwrapped),
    ),
    ast.Slice: (("slice", _slice),),
    ast.comprehension: (("filter left out", _no_filter),),
    ast.IfExp: (("branches swapped", _branches),),
    ast.If: (("branch never taken", _never), ("branch negated", _negated)),
    ast.Expr: (("call left out", _left_out),),
    ast.AugAssign: (("operator", _added_up), ("statement left out", _left_out)),
    ast.Raise: (("refusal left out", _left_out),),
    ast.Continue: (("loop", _other_way),),
    ast.Break: (("loop", _other_way),),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
