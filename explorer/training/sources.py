"""The sources that affect a study's results, each with a digest that only a change of its meaning changes.

These are the modules of `explorer/design` and `explorer/training` that a worker process imports, and the C files beside
them; other files, such as benchmarks, may change while a study is unfinished. Functions and classes in these files that
no run can reach do not count either: those whose names are not mentioned in any code that a run may execute. What the
rest of the project contributes is in the settings, the execution plan and the ids of runs, and is compared there.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from explorer.host.cache import remember, remembered
from explorer.host.extensions import FOLDER as EXTENSIONS
from explorer.host.extensions import loaded

PACKAGE = Path(__file__).parents[1]
ENTRY = "training/worker.py"  # the code of the process that computes every result
ROOMS = ("design", "training")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IN_C = re.compile(r'("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|/\*.*?\*/|//[^\n]*', re.DOTALL)


class _Kept(TypedDict):
    """The cached value: digests, and the state (`of`) of the package that they belong to."""

    of: str
    digests: dict[str, str]


def decisive_sources(package: Path = PACKAGE) -> dict[str, str]:
    """Digests by path below the package, and by name of the extensions that are loaded.

    Comments, docstrings and layout do not count, nor does the version of Python. Parsing the package takes a quarter of
    a second, so the last result is cached.
    """
    added = {f"{EXTENSIONS}/{one.name}": _digest(meaning(one.text)) for one in loaded()}
    return package_sources(package) | added


def package_sources(package: Path = PACKAGE) -> dict[str, str]:
    """The digests without those of extensions."""
    state, known = _state(package), remembered("sources", _Kept)
    if known is not None and known["of"] == state:
        return dict(known["digests"])
    found = {str(path.relative_to(package)): digest for path, digest in _digests(package)}
    remember({"sources": {"of": state, "digests": found}})
    return found


def meaning(code: str) -> str:
    """Normalise Python code to a text that does not depend on comments, docstrings or layout."""
    return _text(ast.parse(code))


def reached(trees: dict[Path, ast.Module], entry: Path) -> set[str]:
    """Names that a run may use: mentioned by code executed on import, by the entry, or by functions that these mention.

    A name counts wherever it is defined, and an attribute or a quoted word counts as a name, so that the result is too
    large rather than too small. Everything with a decorator counts, since the decorator may register it.
    """
    bodies: dict[str, list[ast.stmt]] = {}
    waiting: list[str] = []
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, _DEFINITIONS) and path != entry and not node.decorator_list:
                bodies.setdefault(node.name, []).append(node)
            else:
                waiting += _mentions(node)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (other for body in bodies.get(name, []) for other in _mentions(body))
    return found


def _mentions(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.alias) and part.asname:
            yield part.name.rpartition(".")[2]
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            yield part.value


def _digests(package: Path) -> Iterator[tuple[Path, str]]:
    trees = _imported(package)
    entry = package / ENTRY
    names = reached(trees, entry)
    rooms = sorted(path for path in trees if path.relative_to(package).parts[0] in ROOMS)
    for path in rooms:
        kept = [node for node in trees[path].body if path == entry or _is_reached(node, names)]
        yield path, _digest(_text(ast.Module(kept, [])))
    for folder in sorted({path.parent for path in rooms}):
        for path in sorted(folder.glob("*.[ch]")):
            yield (
                path,
                _digest(" ".join(_IN_C.sub(lambda found: found[1] or " ", path.read_text(encoding="utf-8")).split())),
            )


def _imported(package: Path) -> dict[Path, ast.Module]:
    """All files of the package that its entry imports, including imports inside functions."""
    trees: dict[Path, ast.Module] = {}
    waiting = [package / ENTRY]
    while waiting:
        path = waiting.pop()
        if path not in trees:
            trees[path] = ast.parse(path.read_bytes())
            waiting += _imports(trees[path], package)
    return trees


def _imports(tree: ast.Module, package: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            root, *parts = name.split(".")
            for end in range(1, len(parts) + 1 if root == "explorer" else 0):
                module = package.joinpath(*parts[:end])
                yield from (path for path in (module.with_suffix(".py"), module / "__init__.py") if path.exists())


def _text(value: object) -> str:
    """A syntax tree as text, without bare constants, and without absent fields, which differ by Python version."""
    if isinstance(value, ast.JoinedStr):  # Python 3.12 may add an empty text at an f-string's end
        value = ast.JoinedStr([part for part in value.values if getattr(part, "value", None) != ""])
    if isinstance(value, ast.AST):
        parts = (f"{key}={_text(part)}" for key, part in ast.iter_fields(value) if part is not None and part != [])
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, list):
        return f"[{','.join(_text(item) for item in value if not _is_remark(item))}]"
    return ascii(value)


def _is_reached(node: ast.stmt, names: set[str]) -> bool:
    return not isinstance(node, _DEFINITIONS) or bool(node.decorator_list) or node.name in names


def _is_remark(node: object) -> bool:
    """Whether a statement is a docstring or another bare constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _state(package: Path) -> str:
    """A value that changes with any source, comments included; reading all files takes some milliseconds."""
    found = hashlib.sha256()
    for path in sorted((*package.rglob("*.py"), *package.rglob("*.[ch]"))):
        found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
