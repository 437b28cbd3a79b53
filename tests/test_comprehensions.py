"""Python 3.12.0 to 3.12.3 (Ubuntu 24.04 ships the last) mix up names of comprehensions in one function.

They put comprehensions into the function around them. If the variable of one is called as something that another reads
from outside the function (`[label for label in a]` beside `[label(value) for value in b]`), the other may find the
first's variable, unset: UnboundLocalError. Python 3.13.0 does the same with names of an enclosing function.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import broadly

ROOT = Path(__file__).parent.parent
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Named = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Named | ast.Lambda | ast.ClassDef


def mixed_up(source: str) -> list[str]:
    """Of every function, the names that one of its comprehensions binds and another reads from outside the function."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Named | ast.Lambda)]
    return [f"line {function.lineno}: {name}" for function in functions for name in sorted(_mixed_up(function))]


def _mixed_up(function: Named | ast.Lambda) -> set[str]:
    body: list[ast.AST] = [*function.body] if isinstance(function, Named) else [function.body]
    own = [node for part in body for node in _own(part)]
    bound = {name for node in own if isinstance(node, Comprehension) for name in _bound(node)}
    read = {name for part in body for name in _read(part, frozenset(), inside=False)}
    return bound & read - {name for part in body for name in _set(part)} - _arguments(function)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those in it, without the bodies of other functions and of classes."""
    yield node
    if not isinstance(node, Scope):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


def _bound(comprehension: Comprehension) -> set[str]:
    targets = [node for part in comprehension.generators for node in ast.walk(part.target)]
    return {node.id for node in targets if isinstance(node, ast.Name)}


def _read(node: ast.AST, hidden: frozenset[str], *, inside: bool) -> set[str]:
    """The names that comprehensions read, but those that they, or comprehensions around them, bind themselves."""
    if isinstance(node, ast.Name):
        return {node.id} - hidden if inside and isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Lambda) and inside:
        return _read(node.body, hidden | _arguments(node), inside=True)
    if isinstance(node, Scope):
        return set()
    if not isinstance(node, Comprehension):
        return {name for child in ast.iter_child_nodes(node) for name in _read(child, hidden, inside=inside)}
    first = node.generators[0].iter  # is read outside of it
    parts = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.comprehension)]
    parts += [part.iter for part in node.generators[1:]] + [test for part in node.generators for test in part.ifs]
    within = hidden | _bound(node)
    return _read(first, hidden, inside=inside) | {name for part in parts for name in _read(part, within, inside=True)}


def _set(node: ast.AST) -> set[str]:
    """The names that a function's body makes its own: all it sets, but for the variables of comprehensions."""
    children: list[ast.AST]
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return {name}
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.alias(name=name, asname=other):
            return {(other or name).split(".")[0]}
        case ast.Lambda():
            return set()
        case ast.comprehension():
            children = [node.iter, *node.ifs]
        case _:
            children = list(ast.iter_child_nodes(node))
    captured = (
        getattr(node, "name", None) if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) else None
    )
    return ({captured} if captured else set()) | {name for child in children for name in _set(child)}


def _arguments(function: Named | ast.Lambda) -> set[str]:
    return {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}


MIXED = """
def f(a, b):
    first = [label for label in a]
    return [label(value) for value in b]
"""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (MIXED, ["line 2: label"]),
        (MIXED.replace("label for label in a", "label for _, label in a"), ["line 2: label"]),
        (MIXED.replace("(value)", "(value) for _ in a"), ["line 2: label"]),
        (MIXED.replace("def f", "label = str\ndef f"), ["line 3: label"]),
        (MIXED.replace("[label(value)", "[[label(value) for _ in a]"), ["line 2: label"]),
        (MIXED.replace("first", "label"), []),
        (MIXED.replace("(a, b)", "(a, b, label)"), []),
        (MIXED.replace("return ", "return lambda: "), []),
        (MIXED.replace("label(value)", "value"), []),
        ("def f(a): return [[x for x in a] + [x(y) for y in a] for _ in a]", ["line 1: x"]),
        ("def f(a): return [x for x in a] + [[x for x in y] for y in a]", []),
        ("f = lambda a: ({x: 1 for x in a}, {x(y) for y in a})", ["line 1: x"]),
        ("def f(a):\n import x\n return [x for x in a], [x(y) for y in a]", []),
        ("def f(a): return [x for x in a], [x(y) for y in a if (x := y)]", []),
        ("def f(a): return [x for x in a], [y for y in a if (lambda z: x(z))(y)]", ["line 1: x"]),
        ("def f(a): return [x for x in a], [(lambda x: x(y)) for y in a]", []),
        ("def f(x):\n def g(a): return [x for x in a], [x(y) for y in a]\n", ["line 2: x"]),
    ],
)
def test_names_that_comprehensions_mix_up_are_found(source: str, found: list[str]) -> None:
    assert mixed_up(source) == found


@pytest.mark.real
@pytest.mark.parametrize("folder", broadly(["explorer", "tests"]))
def test_no_comprehension_hides_a_name_that_another_of_its_function_reads(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    assert {str(path.relative_to(ROOT)): names for path in paths if (names := mixed_up(path.read_text()))} == {}
