"""The source of an added block, to be written into a file that works without its extension and without this project."""

import ast
from dataclasses import dataclass, field
from types import ModuleType

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
    ours     names of this project's own modules (`explorer.training.network.modules`) that they use
    """

    name: str
    code: str = ""
    imports: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)


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
    if name not in bindings or isinstance(bindings[name], (ast.Import, ast.ImportFrom)):
        raise InputError(
            f"block {block}: its module has to be a class or a function at the top level of {extension.name} to be "
            "written into a file of its own"
        )
    found = Source(name)
    wanted, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        statement = bindings.get(one)
        if statement is None or one in wanted:  # a builtin, or a local name
            continue
        wanted.add(one)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            _import(found, one, statement, extension)
        else:
            waiting += [part.id for part in ast.walk(statement) if isinstance(part, ast.Name)]
    needed = [
        node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom)) and wanted & _names(node)
    ]
    found.code = "\n\n\n".join(
        [*([found.code] if found.code else []), *(_text(extension.text, node) for node in needed)]
    )
    found.ours.sort(key=list(vars(modules)).index)
    return found


def refuse_double(source: str, block: str) -> None:
    """Raise InputError if the statements of an extension give a name of the file another meaning."""
    seen = set[str]()
    for node in ast.parse(source).body:
        for name in _names(node) if not isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            if name in seen:
                raise InputError(
                    f"block {block}: its extension calls something {name}, as the exported file does; call it otherwise"
                )
            seen.add(name)


def _bindings(tree: ast.Module) -> dict[str, ast.stmt]:
    return {name: node for node in tree.body for name in _names(node)}


def _names(node: ast.stmt) -> set[str]:
    """The names that a statement at the top level defines."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return set()


def _import(found: Source, name: str, statement: ast.Import | ast.ImportFrom, extension: Extension) -> None:
    """Note what has to be imported for a name, or which module of ours it is."""
    (alias,) = (one for one in statement.names if (one.asname or one.name.partition(".")[0]) == name)
    module = statement.module or "" if isinstance(statement, ast.ImportFrom) else alias.name
    if module.partition(".")[0] != _PACKAGE:
        one = ast.ImportFrom(module, [alias], 0) if isinstance(statement, ast.ImportFrom) else ast.Import([alias])
        found.imports.append(ast.unparse(one))
    elif module == _OURS and alias.asname is None and not isinstance(getattr(modules, alias.name), ModuleType):
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
