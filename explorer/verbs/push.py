"""`explorer push`: a finished study on the Hugging Face hub, as a data set, a model and a static Space.

The three folders are written here first, and are then what is uploaded. Repositories that are made are private unless
the command says otherwise: what is public cannot be taken back.
"""

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import in_one_line, size_words
from explorer.record.folder import REPORTS, is_stale, make_folder, refuse_links, study_folder
from explorer.report.disagreement import PRIVATE
from explorer.study.settings import NetworkConfig, PushConfig
from explorer.verbs import hub_cards, tabulate
from explorer.verbs.result import Result

if TYPE_CHECKING:
    from huggingface_hub import HfApi

README = "README.md"
_NAME = re.compile(r"\w([\w.-]{0,94}\w)?/\w([\w.-]{0,94}\w)?", re.ASCII)  # the hub's rule
# Files of a repository that say nothing of whose it is: the hub makes them.
_OF_THE_HUB = {".gitattributes", README}


@dataclass(frozen=True)
class _Part:
    """A part of a study, as the hub knows it.

    kind    of the repository
    mark    a file by which a repository that an earlier push made is known
    stale   files of an earlier push that this one may lack
    """

    kind: str
    mark: str
    stale: tuple[str, ...] = ()


_PARTS = {
    "table": _Part("dataset", tabulate.SCHEMA, ("*.parquet",)),
    "network": _Part("model", "model.py", ("model.onnx",)),
    "page": _Part("space", hub_cards.PAGE),
}


def carry_out(config: PushConfig, console: Console) -> Result:
    """Write the folders of a study's parts, say what they hold, and upload them unless the run is dry.

    Raises InputError, before anything is uploaded, for a study that is not finished, a part that cannot be made, a
    missing login, and a repository that holds something else.
    """
    parts = tuple(dict.fromkeys(config.parts or _PARTS))
    if config.to is None and not config.dry:
        way = command_for("push", config.name, f"to=USER/{config.name}")
        raise InputError(f"push: say where to, as in {way}; or --dry")
    if config.to is not None:
        _refuse_name(config.to)
    hub = None if config.dry else _hub(is_terminal=console.is_terminal)
    folder = study_folder(config.name)
    refuse_links(folder)
    study = open_study(folder)
    tabulate.refuse_unfinished(study, "pushed")
    if study.config.is_imported and not config.parts:
        parts = tuple(part for part in parts if part != "network")  # it holds none
    if hub is not None and config.to is not None:
        _refuse_repositories(hub, config.to, parts)
    root = Path(config.folder).expanduser() if config.folder else Path("push") / config.name
    refuse_links(make_folder(root))
    to = config.to or f"USER/{config.name}"
    written = {part: _written(part, study, root / part, to, config, console) for part in parts}
    for part, files in written.items():
        kind = _PARTS[part].kind
        size = size_words(sum(path.stat().st_size for path in files))
        console.print(f"{kind} {to}, {size}, from {root / part}:", **PLAIN)
        for path in files:
            console.print(f"  {path.relative_to(root / part)}  {size_words(path.stat().st_size)}", **PLAIN)
    told: dict[str, dict[str, Any]] = {
        part: {"kind": _PARTS[part].kind, "files": files, "url": None} for part, files in written.items()
    }
    if hub is None or config.to is None:
        console.print("Nothing was uploaded: the run was dry.", **PLAIN)
        return Result(lambda: {"study": config.name, "to": config.to, "parts": told})
    for part in parts:
        told[part]["url"] = url = _uploaded(hub, part, root / part, config)
        console.print(f"Uploaded: {url}", **PLAIN)
    return Result(lambda: {"study": config.name, "to": config.to, "parts": told})


# ---------------------------------------------------------------- the folders


def _written(part: str, study: OpenedStudy, folder: Path, to: str, config: PushConfig, console: Console) -> list[Path]:
    """Write the folder of a part, and return its files."""
    write: dict[str, Callable[[], None]] = {
        "table": lambda: _table(study, folder, to, config),
        "network": lambda: _network(folder, to, config, console),
        "page": lambda: _page(study, folder, to, config),
    }
    write[part]()
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _table(study: OpenedStudy, folder: Path, to: str, config: PushConfig) -> None:
    tabulate.write_table(study.folder, folder, lambda names: hub_cards.of_table(study, names, to, config.license))


def _network(folder: Path, to: str, config: PushConfig, console: Console) -> None:
    from explorer.verbs.export_study import carry_out as export
    from explorer.verbs.trained_run import trained_run

    asked = NetworkConfig(config.name, folder=str(folder), data=config.data)
    found = trained_run(asked)
    if not found.weights.is_file():
        keys = {"to": config.to, "license": config.license, "folder": config.folder, "data": config.data}
        given = [f"{key}={value}" for key, value in keys.items() if value is not None]
        given += [f"{key}=true" for key in ("public", "dry") if getattr(config, key)]
        rest = command_for("push", config.name, "table", "page", *given)
        raise InputError(f"{found.lacks_weights(replace(asked, folder=None))}; or push the rest alone: {rest}")
    export(asked, console)
    path = folder / README
    write_whole(path, hub_cards.of_network(found, to, config.license) + path.read_text(encoding="utf-8"))


def _page(study: OpenedStudy, folder: Path, to: str, config: PushConfig) -> None:
    page = REPORTS / f"{study.folder.name}.html"
    target = make_folder(folder) / hub_cards.PAGE
    stale = is_stale(page, study.folder)
    is_private = not stale and PRIVATE in page.read_text(encoding="utf-8")
    if stale or is_private:
        from explorer.report.drawing import draw
        from explorer.report.page import write_page
        from explorer.verbs.ped_anova import ped_anova
        from explorer.verbs.pictures import pictures_of

        importance, pictures = ped_anova(study), pictures_of(study, "auto")
        if stale:
            draw(study, importance, pictures)
        else:  # pictures that were asked for here are not published by another command
            write_page(study, target, study.digest, importance=importance, pictures=pictures)
    if stale or not is_private:
        shutil.copyfile(page, target)
    write_whole(folder / README, hub_cards.of_page(study, to, config.license))


# ---------------------------------------------------------------- the hub


def _refuse_name(to: str) -> None:
    """Raise InputError for a name that no repository can have."""
    if not _NAME.fullmatch(to) or "--" in to or ".." in to:
        raise InputError(f"to={to}: is no name of a repository; allowed: USER/REPO, as on huggingface.co")


def _hub(*, is_terminal: bool) -> "HfApi":
    """The hub, logged in. Raises InputError where the library is missing, nobody is logged in or it does not answer."""
    if find_spec("huggingface_hub") is None:
        raise InputError("push: huggingface_hub is not installed; pip install 'resnext-explorer[hub]', or say --dry")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalTokenNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of each retry
    if not is_terminal:
        disable_progress_bars()
    hub = HfApi(library_name="resnext-explorer")
    with _said("the hub"):
        try:
            hub.whoami()
        except LocalTokenNotFoundError:
            raise InputError("push: nobody is logged in to the hub; say hf auth login, or set HF_TOKEN") from None
    return hub


def _refuse_repositories(hub: "HfApi", to: str, parts: tuple[str, ...]) -> None:
    """Raise InputError for a repository that holds something else than an earlier push."""
    for part in parts:
        kind, mark = _PARTS[part].kind, _PARTS[part].mark
        with _said(f"{kind} {to}"):
            if not hub.repo_exists(to, repo_type=kind):
                continue
            there = {*hub.list_repo_files(to, repo_type=kind)}
        if there - _OF_THE_HUB and mark not in there:
            first = min(there - _OF_THE_HUB)
            raise InputError(f"to={to}: the {kind} of that name holds something else ({first}); choose another name")


def _uploaded(hub: "HfApi", part: str, folder: Path, config: PushConfig) -> str:
    """Upload the folder of a part, and return the address of its repository. What is there already stays as it is."""
    assert config.to is not None
    own, more = _PARTS[part], dict[str, Any]()
    if own.kind == "space":
        more["space_sdk"] = "static"
    with _said(f"{own.kind} {config.to}"):
        url = hub.create_repo(config.to, repo_type=own.kind, private=not config.public, exist_ok=True, **more)
        hub.upload_folder(
            folder_path=folder,
            repo_id=config.to,
            repo_type=own.kind,
            commit_message=f"{config.name}: {part}",
            ignore_patterns=["__pycache__/*"],
            delete_patterns=[*own.stale] or None,
        )
    return str(url)


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Turn errors of the hub and of the way to it into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises those of its HTTP client too
        raise InputError(
            f"push: {what}: {in_one_line(error)}; start the same command again when that is mended"
        ) from None
