"""Code from outside that adds to this project: files that a command names, and installed packages.

A file says what it adds in dictionaries at its top level, by kind: `BLOCKS = {"shuffle": ex.Block(...)}`. A package
does so in the module that its entry point of the group `resnext_explorer.extensions` names. What each kind takes is
said in docs/extending.md. Loading puts the values into the tables of the rooms where they belong, which callers give
as `Homes`.

A command, or a program in Python, names the files; the settings of a study never do (SECURITY.md). Processes of workers
load the same text: a copy in the cache, whose path stands in an environment variable, so that a file that is edited
meanwhile changes nothing in a study that runs.
"""

import hashlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.host.cache import cache_folder, is_own
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import in_one_line

KINDS = (
    *("BLOCKS", "SAMPLERS", "MEASURES", "OPTIMIZERS", "SCHEDULES", "AUGMENTATIONS", "LOSSES"),
    *("SOURCES", "FIGURES"),
)
GROUP = "resnext_explorer.extensions"  # of entry points
FOLDER = "extensions"  # in the cache, and before the name of an extension among a study's sources
_PATHS = "EXPLORER_EXTENSIONS"  # environment variable: what processes of workers load
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Home:
    """Where values of a kind belong: the table that has what was added, by name, and a check of a name and its value.

    The check raises ValueError, without the name. A process without the home of a kind does not use that kind.
    """

    table: dict[str, Any]
    check: Callable[[str, Any], None]


Homes = Mapping[str, Home]


@dataclass(frozen=True)
class Extension:
    """One extension that is loaded.

    name    of the file, as `my_blocks.py`, or of the distribution of a package
    path    of the file as it was named; None for a package
    text    its code; of a package that of all its modules, in their order
    adds    names of what it adds, by kind
    """

    name: str
    path: Path | None
    text: str
    adds: Mapping[str, tuple[str, ...]]


Packed = tuple[tuple[str, str], ...]  # files to load on another machine: name and text of each

_loaded: dict[str, Extension] = {}
_filled: list[Home] = []


def loaded() -> tuple[Extension, ...]:
    """The extensions of this process, in the order in which they were loaded."""
    return tuple(_loaded.values())


def source_of(kind: str, name: str) -> Extension | None:
    """The extension that adds something; None if no extension does."""
    return next((one for one in _loaded.values() if name in one.adds.get(kind, ())), None)


def words() -> tuple[str, ...]:
    """The keys with which a command names the files that are loaded here, as `extensions=my_blocks.py`."""
    paths = [str(one.path) for one in _loaded.values() if one.path is not None]
    return (f"extensions={','.join(paths)}",) if paths else ()


def load(files: Iterable[str | Path], homes: Homes) -> None:
    """Load files, once each. Raises InputError for a file that cannot be loaded or adds what cannot be added."""
    for file in files:
        path = Path(file).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
            raise InputError(f"extensions={file}: {reason}; allowed: files of Python code") from None
        if path.suffix != ".py":
            raise InputError(f"extensions={file}: is no file of Python code; its name has to end in .py")
        _load_text(path.name, text, path, homes)
    _share()


def load_installed(homes: Homes) -> None:
    """Load the packages that say by an entry point that they extend this project."""
    for entry in entry_points(group=GROUP):
        name = entry.dist.name if entry.dist is not None else entry.name
        if name not in _loaded:
            module = _imported(name, entry)
            folder = Path(module.__file__ or "").parent
            files = sorted(folder.rglob("*.py")) if module.__spec__ and module.__spec__.parent else [module.__file__]
            text = "\n".join(Path(str(file)).read_text(encoding="utf-8") for file in files)
            _add(Extension(name, None, text, _adds(module, name)), module, homes)


def load_shared(homes: Homes) -> None:
    """Load, in a process of a worker, what the process that started it has loaded."""
    adopt(tuple((Path(one).name, Path(one).read_text(encoding="utf-8")) for one in _shared()), homes)


def packed() -> Packed:
    """The files that are loaded, to be loaded by `adopt` on a machine that may not see them."""
    return tuple((one.name, one.text) for one in _loaded.values() if one.path is not None)


def adopt(files: Packed, homes: Homes) -> None:
    """Load files that were sent, and the packages that are installed here."""
    load_installed(homes)
    for name, text in files:
        _load_text(name, text, _copy(name, text), homes)
    _share()


def forget() -> None:
    """Take everything that was added away again, as in a new process."""
    for home in _filled:
        home.table.clear()
    for one in _loaded.values():
        if one.path is not None:
            sys.modules.pop(_module_name(one.path), None)
    _filled.clear()
    _loaded.clear()
    os.environ.pop(_PATHS, None)


def _load_text(name: str, text: str, path: Path, homes: Homes) -> None:
    if (before := _loaded.get(name)) is not None:
        if before.text == text:
            return
        raise InputError(
            f"extensions={path}: another file {name} is loaded already, or it was changed meanwhile; start a new "
            "process, or give one of them another name"
        )
    module = ModuleType(_module_name(path))
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # so that its classes can be sent to other processes
    try:
        exec(compile(text, module.__file__, "exec"), module.__dict__)  # noqa: S102 - a person named it to be executed
        extension = Extension(name, path, text, _adds(module, name))
        _add(extension, module, homes)
    except InputError:
        del sys.modules[module.__name__]
        raise
    except Exception as error:
        del sys.modules[module.__name__]
        raise InputError(f"extensions={path}: {_where(error, module.__file__)}") from error


def _module_name(path: Path) -> str:
    return "explorer_extension_" + re.sub(r"\W", "_", path.stem)


def _imported(name: str, entry: EntryPoint) -> ModuleType:
    try:
        return import_module(entry.module)
    except Exception as error:
        raise InputError(
            f"the installed extension {name}: {in_one_line(f'{type(error).__name__}: {error}')}; mend or uninstall it"
        ) from error


def _where(error: Exception, file: str) -> str:
    """What went wrong in a file, with the line of that file."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f"line {lines[-1]}: " if lines else ""
    return in_one_line(f"{place}{type(error).__name__}: {error}")


def _adds(module: ModuleType, name: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for kind in KINDS:
        values = getattr(module, kind, {})
        if not isinstance(values, dict):
            raise InputError(f"extension {name}: {kind} is a {type(values).__name__}; allowed: a dictionary by name")
        for key in values:
            if not isinstance(key, str) or not _NAME.fullmatch(key):
                raise InputError(
                    f"extension {name}: {kind} has the name {key!r}; allowed: a letter, then letters, digits "
                    "and _, all lower case"
                )
        if values:
            found[kind] = tuple(values)
    if not found:
        raise InputError(f"extension {name}: adds nothing; allowed: dictionaries called {', '.join(KINDS)}")
    return found


def _add(extension: Extension, module: ModuleType, homes: Homes) -> None:
    """Fill the tables, if everything can be added."""
    for kind, names in extension.adds.items():
        for name in names:
            try:
                if (other := source_of(kind, name)) is not None:
                    raise ValueError(f"is added by {other.name} already")
                if kind in homes:
                    homes[kind].check(name, getattr(module, kind)[name])
            except ValueError as error:
                raise InputError(f"extension {extension.name}: {kind}: {name}: {error}") from None
    for kind in extension.adds.keys() & homes.keys():
        homes[kind].table.update(getattr(module, kind))
        _filled.append(homes[kind])
    _loaded[extension.name] = extension


def _share() -> None:
    """Let processes that this one starts load the same files."""
    files = [one for one in _loaded.values() if one.path is not None]
    if files:
        os.environ[_PATHS] = os.pathsep.join(str(_copy(one.name, one.text)) for one in files)


def _shared() -> list[str]:
    return [one for one in os.environ.get(_PATHS, "").split(os.pathsep) if one]


def _copy(name: str, text: str) -> Path:
    """The path of a copy of a file in the user's cache, by its content."""
    folder = cache_folder(FOLDER, hashlib.sha256(text.encode()).hexdigest()[:16])
    path = folder / name
    if not (is_own(path) and path.read_text(encoding="utf-8") == text):
        write_whole(path, text)
    return path
