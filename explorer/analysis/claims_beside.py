"""The claims of recorded studies that lie beside a study and ask the same of other images."""

import re
from pathlib import Path

from explorer.analysis.claims import Claim, claim_of
from explorer.analysis.judging import OpenedStudy, open_study, refuse_large
from explorer.host.errors import InputError
from explorer.record.folder import CONFIG, refuse_links, stored_config


def claims_beside(study: OpenedStudy) -> list[Claim]:
    """The claims of studies in folders beside a finished one that are alike, each of images of its own.

    What is wrong with another folder hides nothing here: it is left out. Empty for a study that makes no claim.
    """
    try:
        known = [claim_of(study)]
    except InputError:
        return []
    if not (study.folder / CONFIG).exists():  # it was never on disk
        return []
    for folder in sorted(study.folder.parent.glob("*")):
        if folder.name == study.folder.name or not _may_be_alike(study, folder):
            continue
        try:
            refuse_links(folder)
            refuse_large(folder)
            claim = claim_of(open_study(folder))
        except Exception:  # noqa: BLE001, S112 - the record of another study may be damaged in any way
            continue
        if claim.alike == known[0].alike and not any(claim.is_of_images_of(one) for one in known):
            known.append(claim)
    return known[1:]


def _may_be_alike(study: OpenedStudy, folder: Path) -> bool:
    """Whether the settings in a folder may be those of the same contrast on other images; opening it takes longer."""
    try:
        tree, declared, init = stored_config(folder) or {}, study.config.study.contrast, study.config.recipe.init
        own = tree["study"]["contrast"]
        pairs = [(declared.setting, own["setting"]), (declared.against, own["against"])] if declared and own else []
        return (
            bool(pairs)
            and all(_paths_of(one) == _paths_of(other) for one, other in pairs)
            and tree["data"]["name"] != study.config.data.name
            and tree["recipe"].get("init", init) == init
        )
    except (InputError, OSError, LookupError, TypeError, AttributeError):
        return False


def _paths_of(name: str) -> str:
    """The number of paths in the name of a side of a contrast, as text: `16` of `29-16x2d`; "" if it has none."""
    found = re.search(r"(?:^|-)([\d.]+)x", name)
    return found[1] if found else ""
