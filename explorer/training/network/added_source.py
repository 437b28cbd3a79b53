"""The source of an added block, to be written into a file that works without its extension and without this project."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions

from explorer.design.block import BLOCKS
from explorer.host.errors import InputError
from explorer.host.extensions import Extension, source_of
from explorer.training.network import modules

_OURS = modules.__name__
_PACKAGE = "explorer"


@dataclass
class Source:
    """What a file needs to have an added block.

    name     under which `code` has what makes the block's module
    code     statements of the extension, in their order
    imports  lines that import what these need
    future   whether its annotations are not evaluated
    ours     names of this project's own modules (`explorer.training.network.modules`) that they use
    """

    name: str
    code: str = ""
    imports: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    future: bool = False


def source_of_block(block: str) -> Source:
    """The source of an added block.

    Raises InputError if its module is no class or function at the top level of the extension's file, and for what it
    uses of this project beyond the modules of networks.
    """
    extension, made = source_of("BLOCKS", block), BLOCKS[block].module
    assert extension is not None
    name = getattr(made, "__qualname__", "")
    tree = ast.parse(extension.text)
    bindings = _bindings(tree)
    if not any(isinstance(one, (ast.FunctionDef, ast.ClassDef)) for one in bindings.get(name, ())):
        raise InputError(
            f"block {block}: its module has to be a class or a function at the top level of {extension.name} to be "
            "written into a file of its own"
        )
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    found = Source(name, future=any(one.name == "annotations" for node in futures for one in node.names))
    wanted, waiting = set[str](), [name, "*"]
    while waiting:
        one = waiting.pop()
        if one not in bindings or one in wanted:  # a builtin, or a local name
            continue
        wanted.add(one)
        for statement in bindings[one]:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                _import(found, one, statement, extension)
            else:
                _refuse_ours(statement, extension)
                waiting += [part.id for part in ast.walk(statement) if isinstance(part, ast.Name)]
    needed = [
        node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom)) and wanted & _names(node)
    ]
    found.code = "\n\n\n".join(
        [*([found.code] if found.code else []), *(_text(extension.text, node) for node in needed)]
    )
    found.ours.sort(key=list(vars(modules)).index)
    return found


def refuse_double(source: str, added: str, block: str) -> None:
    """Raise InputError if statements of an extension, `added`, give a name of the rest of the file another meaning."""
    own = {name for node in ast.parse(added).body for name in _names(node)}
    for node in ast.parse(source.replace(added, "")).body:
        for name in _names(node) & own if not isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            raise InputError(
                f"block {block}: its extension calls something {name}, as the exported file does; call it otherwise"
            )


def _bindings(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """The statements at the top level by each name to which they give a meaning, or more of one."""
    found: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in _names(node):
            found.setdefault(name, []).append(node)
    return found


def _names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top level defines."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        case ast.Expr(value=ast.Call(func=called)):  # as TABLE.update(...)
            return _roots([called])
        case ast.Expr():
            return set()
    inner = list(ast.walk(node))  # of if, try, for, with and what else there is, too
    stored = [part for part in inner if isinstance(getattr(part, "ctx", None), ast.Store)]
    defined = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return _roots(stored).union(*(_names(part) for part in inner if isinstance(part, defined)))


def _roots(parts: Iterable[ast.AST]) -> set[str]:
    """The names with which expressions begin: TABLE of `TABLE.update` and of `TABLE["one"]`."""
    found = set()
    for part in parts:
        first = part
        while isinstance(first, (ast.Attribute, ast.Subscript)):
            first = first.value
        if isinstance(first, ast.Name):
            found.add(first.id)
    return found


def _refuse_ours(statement: ast.stmt, extension: Extension) -> None:
    """Raise InputError for an import of this project within a statement, which is written as it stands."""
    for part in ast.walk(statement):
        if isinstance(part, (ast.Import, ast.ImportFrom)) and (
            bool(getattr(part, "level", False))
            or _PACKAGE
            in {
                one.partition(".")[0]
                for one in (getattr(part, "module", None) or "", *(own.name for own in part.names))
            }
        ):
            raise InputError(
                f"{extension.name}: line {part.lineno}: {ast.unparse(part)}: cannot be written into a file of its own; "
                "import it at the top of the file"
            )


def _import(found: Source, name: str, statement: ast.Import | ast.ImportFrom, extension: Extension) -> None:
    """Note what has to be imported for a name, or which module of ours it is."""
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) == name:
            _import_one(found, name, statement, alias, extension)


def _import_one(
    found: Source, name: str, statement: ast.Import | ast.ImportFrom, alias: ast.alias, extension: Extension
) -> None:
    module = statement.module or "" if isinstance(statement, ast.ImportFrom) else alias.name
    within = isinstance(statement, ast.ImportFrom) and statement.level > 0
    if within or extension.name in packages_distributions().get(module.partition(".")[0], ()):
        raise InputError(
            f"{extension.name}: {ast.unparse(statement)}: cannot be written into a file of its own, which would need "
            "the package; allowed: a block whose code is in one file"
        )
    if module.partition(".")[0] != _PACKAGE:
        one = ast.ImportFrom(module, [alias], 0) if isinstance(statement, ast.ImportFrom) else ast.Import([alias])
        found.imports.append(ast.unparse(one))
    elif module == _OURS and alias.asname is None and callable(getattr(modules, alias.name, None)):
        found.ours.append(alias.name)
    elif isinstance(statement, ast.Import) and module == _PACKAGE:  # for annotations
        found.imports.append("from types import SimpleNamespace")
        found.code = f"{name} = SimpleNamespace(Stage=Stage)"
    elif alias.name != "Stage" or alias.asname is not None:
        raise InputError(
            f"{extension.name}: {ast.unparse(statement)}: cannot be written into a file of its own; allowed for what a "
            f"block uses: names of {_OURS}, and explorer.Stage"
        )


def _text(source: str, node: ast.stmt) -> str:
    """A statement as it was written, with its decorators."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
