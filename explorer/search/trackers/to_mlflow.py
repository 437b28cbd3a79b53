"""A study as an experiment of MLflow: on the server that MLflow's own settings name, as in MLFLOW_TRACKING_URI."""

import os
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from explorer.host.formatting import without_password
from explorer.search.trackers.content import TrackedRun, TrackedStudy

OWNER, RUN, DIGEST, NOTE = "explorer.owner", "explorer.run", "explorer.digest", "mlflow.note.content"
LOOK_SECONDS = 5.0  # that a server has to answer at all
PAGE = 1000  # runs that are asked for at once
MOST_METRICS, MOST_PARAMS = 1000, 100  # that MLflow takes at once
# Unless the person has set them: a study must not wait for long, as for MLflow's own seven tries.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_STATES = {"ok": "FINISHED", "pruned": "KILLED"}  # any other status of a run: FAILED


class Mlflow:
    """Writes a study to MLflow; what is there already is looked at once, and again after an error."""

    def __init__(self) -> None:
        for key, value in _BOUNDS.items():
            os.environ.setdefault(key, value)
        import mlflow

        self._uri = mlflow.get_tracking_uri()
        self._client = mlflow.MlflowClient()
        self.forget()

    @property
    def place(self) -> str:
        """The server as messages show it."""
        return f"MLflow at {without_password(self._uri)}"

    def forget(self) -> None:
        """Look at everything again the next time."""
        self._experiment, self._known, self._note = "", dict[str, tuple[str, str]](), ""

    def write(self, study: TrackedStudy, wrote: Callable[[], object]) -> str:
        """Make the experiment equal to the study; return its name there, which other people's may have made another.

        Runs are known by their id: one that is as it should be is left alone, another one is written anew.
        """
        self._refuse_silent()
        if not self._experiment:
            self._experiment = self._found(study)
            self._known = self._stored()
        for run in study.runs:
            old, digest = self._known.get(run.id, ("", ""))
            if digest != run.digest:
                if old:
                    self._client.delete_run(old)
                self._known[run.id] = self._written(study, run), run.digest
            wrote()
        for gone in self._known.keys() - {run.id for run in study.runs}:
            self._client.delete_run(self._known.pop(gone)[0])
        if self._note != study.note:
            self._client.set_experiment_tag(self._experiment, NOTE, study.note)
            self._note = study.note
        return str(self._client.get_experiment(self._experiment).name)

    def _refuse_silent(self) -> None:
        """Raise OSError for a server that does not answer, in its own words and soon."""
        there = urlsplit(self._uri)
        if there.scheme in ("http", "https") and there.hostname:
            port = there.port or {"http": 80, "https": 443}[there.scheme]
            socket.create_connection((there.hostname, port), LOOK_SECONDS).close()

    def _found(self, study: TrackedStudy) -> str:
        """The id of the study's experiment, made where there is none; never that of another study, nor a deleted one.

        Raises LookupError if all its names are taken.
        """
        for name in study.names:
            there = self._client.get_experiment_by_name(name)
            if there is None:
                return str(self._client.create_experiment(name, tags={OWNER: study.owner}))
            if there.lifecycle_stage == "active" and there.tags.get(OWNER) == study.owner:
                return str(there.experiment_id)
        raise LookupError(f"the experiments {', '.join(study.names)} are others' or deleted; restore or remove one")

    def _stored(self) -> dict[str, tuple[str, str]]:
        """By the id of a run in the record its id here, and the digest of what was written; "" if not to its end."""
        found: dict[str, tuple[str, str]] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=PAGE, page_token=token)
            for one in page:
                own, digest = one.data.tags.get(RUN), one.data.tags.get(DIGEST, "")
                if own is None:
                    continue  # a person's own, in the study's experiment
                if own in found:  # two processes wrote at once
                    self._client.delete_run(one.info.run_id)
                else:
                    found[own] = one.info.run_id, digest
            token = page.token
            if not token:
                return found

    def _written(self, study: TrackedStudy, run: TrackedRun) -> str:
        """Write a run, and last the mark that it is whole; return its id here."""
        from mlflow.entities import Metric, Param, RunTag

        tags = {RUN: run.id, "explorer.status": run.status, "explorer.study": study.name}
        tags |= {"explorer.part": run.part} if run.part else {}
        tags |= {NOTE: run.message} if run.message else {}
        began, ended = round(1000 * run.began), round(1000 * run.ended)
        made = self._client.create_run(self._experiment, began, tags, run.name).info.run_id
        last = run.steps[-1].epoch if run.steps else 0
        metrics = [
            *(
                Metric(key, value, round(1000 * step.at), step.epoch)
                for step in run.steps
                for key, value in step.metrics.items()
            ),
            *(Metric(key, value, ended, last) for key, value in run.end.items()),
        ]
        params: list[Any] = [Param(key, str(value)) for key, value in run.params.items()]
        for place in range(0, max(len(metrics), len(params), 1), MOST_METRICS):
            some = params[place // MOST_METRICS * MOST_PARAMS :][:MOST_PARAMS]
            self._client.log_batch(made, metrics[place : place + MOST_METRICS], some)
        self._client.set_terminated(made, _STATES.get(run.status, "FAILED"), ended)
        self._client.log_batch(made, tags=[RunTag(DIGEST, run.digest)])
        return str(made)
