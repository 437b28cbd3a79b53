"""A study as a group of runs of Weights & Biases, where its own settings say: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE.

With WANDB_MODE=offline its files lie in `wandb/` of the current folder, or of WANDB_DIR, for `wandb sync`; not in the
study's folder, which holds no links.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer.host.files import write_whole
from explorer.search.trackers.content import TrackedRun, TrackedStudy

PROJECT = "resnext-explorer"  # unless WANDB_PROJECT names another
WRITTEN = Path("local") / "wandb.json"  # by place and run the digest of what was written there
WAIT_SECONDS = 20  # for a server's answer


class Wandb:
    """Writes a study to Weights & Biases; what was written is kept in a file of the study's folder.

    A run has the same id there each time, and its steps only grow: what is sent twice is there once.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb, self._folder, self._ids = wandb, folder, dict[str, str]()
        settings = wandb.Settings()
        settings.update_from_env_vars(dict(os.environ))
        if settings.mode == "disabled":
            raise RuntimeError("WANDB_MODE=disabled: nothing would be written; say WANDB_MODE=online or offline")
        self._offline = settings.mode in ("offline", "dryrun")
        self._project = settings.project or PROJECT
        self._root = Path(settings.root_dir)
        where = self._root.absolute() / "wandb" if self._offline else settings.base_url
        self._where = f"{where} {settings.entity or ''}/{self._project}"

    @property
    def place(self) -> str:
        """Where it goes, as messages show it."""
        return f"Weights & Biases, project {self._project}" + (
            f", offline in {self._root / 'wandb'}" if self._offline else ""
        )

    def forget(self) -> None:
        """Nothing is kept: the study's file says what was written."""

    def write(self, study: TrackedStudy, wrote: Callable[[], object]) -> str:
        """Write the runs that are not there as they are now, and a run that says what the study found."""
        path = self._folder / WRITTEN
        every = _read(path)
        known = every.setdefault(self._where, {})

        def put(own: str, digest: str, write: Callable[[], None]) -> None:
            if known.get(own) == digest and (not self._offline or any(self._files(own))):
                return
            for old in self._files(own):
                shutil.rmtree(old)
            write()
            known[own] = digest
            write_whole(path, json.dumps(every) + "\n")

        for run in study.runs:
            own = f"{run.id}-{study.owner[:6]}"
            put(own, run.digest, lambda run=run, own=own: self._run(study, run, own))  # type: ignore[misc]
            wrote()
        own = f"study-{study.owner[:12]}"
        digest = hashlib.sha256(study.note.encode()).hexdigest()[:16]
        put(own, digest, lambda: self._summary(study, own))
        return study.name

    def _files(self, own: str) -> list[Path]:
        """The folders of a run that were written offline."""
        return [*(self._root / "wandb").glob(f"offline-run-*-{own}")] if self._offline else []

    def _begun(self, study: TrackedStudy, own: str, **about: Any) -> Any:
        settings = self._wandb.Settings(
            silent=True,
            console="off",
            symlink=False,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_save_requirements=False,
            x_disable_stats=True,
            x_disable_machine_info=True,
            init_timeout=WAIT_SECONDS,
            login_timeout=1,
        )
        return self._wandb.init(
            project=self._project,
            group=study.name,
            id=own,
            dir=str(self._root),
            resume="allow",
            reinit="finish_previous",
            settings=settings,
            **about,
        )

    def _run(self, study: TrackedStudy, run: TrackedRun, own: str) -> None:
        tags = [run.status, *([run.part] if run.part else [])]
        about = {"config": {**run.params, "run": run.id}, "tags": tags, "notes": run.message or None}
        there = self._begun(study, own, name=run.name, job_type=run.part or "run", **about)
        for step in run.steps:
            there.log({"epoch": step.epoch, **step.metrics}, step=step.epoch)
        there.summary.update({**run.end, "status": run.status})
        there.finish(exit_code=0 if run.is_over else 1)

    def _summary(self, study: TrackedStudy, own: str) -> None:
        there = self._begun(study, own, name=study.name, job_type="study", notes=study.note)
        there.summary.update({"note": study.note, "runs": len(study.runs)})
        there.finish()


def _read(path: Path) -> dict[str, dict[str, str]]:
    """By place and run the digest of what was written; nothing where the file cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(place): dict(own) for place, own in found.items() if isinstance(own, dict)}
