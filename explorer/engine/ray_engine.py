"""The Ray engine: each run is a plain task of a cluster, which exists already or is started for the study.

A task starts a worker process on its node and passes the worker's events on, so a run is the same wherever it is
trained. Ray itself retries nothing: the engine starts a run that was lost again from its last checkpoint. As on one
machine a died process counts against `engine.retries`; a lost node does not.
"""

import atexit
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

from explorer.engine.contract import accepted
from explorer.engine.local import LOOK
from explorer.engine.ray_cluster import Needs, connected, of_ours
from explorer.engine.remote import Look, RemoteTask, absolute, carry_out, is_on_disk, look, mark, narrowed, placed
from explorer.engine.retries import CROWDED, Attempts
from explorer.engine.transfer import Files, SentFile, arrived, images, newest, run_files
from explorer.host import signals as interrupt
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.extensions import packed
from explorer.record.folder import make_folder
from explorer.study.job import (
    Answer,
    Begun,
    Event,
    HostQuestion,
    Job,
    Mismatch,
    Noted,
    Placement,
    Question,
    Refused,
    RunDone,
)
from explorer.study.settings import StudyConfig

_LOGGER = logging.getLogger(__name__)
HEADLESS = 15.0  # seconds without an answer after which the head node counts as lost
STALE = 2.0  # seconds for which the last known resources of the cluster are used


@dataclass
class RayEngine:
    """Runs jobs as tasks of a Ray cluster; a few more are submitted than fit, so that an autoscaler sees demand."""

    study: StudyConfig
    folder: Path
    wanted: int = 1
    _ray: ModuleType = field(init=False)
    _carry: Any = field(init=False)
    _attempts: Attempts = field(init=False)
    _flights: dict[Any, Job] = field(default_factory=dict)
    _landed: list[Any] = field(default_factory=list)  # tasks that have sent their last event and have yet to end
    _placement: Placement | None = None
    _needs: Needs = field(init=False)
    _images: Any = None  # reference to the images in Ray's object store, if nodes do not see their path
    _alone: dict[str, bool] = field(default_factory=dict)  # runs that get a whole GPU, and whether they have begun
    _sends: bool = False  # whether checkpoints travel with tasks, since nodes do not see the study's folder
    _counted: tuple[float, int] = (0.0, 0)
    _head: tuple[str, int] = field(init=False)
    _looked: float = 0.0  # when the head was last called
    _answered: float = 1.0  # when the head last answered; 0: it counts as lost

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self._attempts = Attempts(self.study.engine.retries, self.submit)
        self._ray = connected(self.study.engine)
        # Once: Ray sends each function that it is given to the cluster, and keeps it there.
        self._carry = self._ray.remote(max_calls=1, max_retries=0, num_returns="streaming")(_carried)
        host, _, port = self._ray.get_runtime_context().gcs_address.rpartition(":")
        self._head = (host.strip("[]"), int(port))
        try:
            self._needs = self._whole()
            if self.study.engine.address != "local":
                self._look_around()
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def free(self) -> int:
        """How many more runs to submit: those that fit now, and a few more so that an autoscaler sees demand."""
        assert self._placement is not None
        if not self._has_head() or not all(self._alone.values()):  # others would take parts of every GPU for ever
            return 0
        ahead = 0 if self.study.engine.address == "local" else self.study.engine.ahead
        return min(self._placement.most, self._room() + ahead) - len(self._flights)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Send a question to `workers` processes on one node; before `open` the task takes the whole node."""
        if isinstance(question, HostQuestion):
            question = replace(question, data=placed(question.data), device="cuda" if self._needs.gpus else "cpu")
        remote = RemoteTask(question, workers, silence=self.study.engine.silence)
        for _ in range(self.study.engine.retries + 1):
            answers = self._answers(self._start(remote))
            if answers:
                cores = None if self._needs.gpus else int(self._needs.cpus)
                return [narrowed(answer, cores) for answer in accepted(answers)]
        raise InputError("engine=ray: the process that was to measure was lost again and again; see the cluster's logs")

    def open(self, placement: Placement) -> int:
        """Set how runs are executed; from now on a task takes the resources of one run instead of a whole node."""
        self._placement = placement
        if self._needs.gpus:
            share = self.study.engine.share
            part = 1 / placement.at_once if share == "auto" else share
            self._needs = Needs(1, int(part * 10_000) / 10_000)
        else:
            self._needs = Needs(placement.execution.threads, 0)
        self._counted = (0.0, 0)
        return max(1, min(placement.most, self._room()))

    def submit(self, job: Job) -> None:
        """Submit a run to the cluster, which queues it until a node has room."""
        assert self._placement is not None
        own = self.study.engine
        remote = RemoteTask(absolute(job), 1, self._placement.host_report, own.retries, own.silence)
        checkpoint = newest(job.checkpoints) if self._sends else None
        needs = self._needs
        if job.run.id in self._alone:
            self._alone[job.run.id], needs = False, replace(needs, gpus=1)
        self._flights[self._start(remote, checkpoint, needs)] = job

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, waiting up to `timeout` seconds for the first one."""
        if not self._has_head():
            time.sleep(timeout)
            return []
        self._landed = self._still(self._landed, 0.0)
        if not self._flights:
            time.sleep(timeout)
            return []
        found: list[Event] = []
        ready, _ = self._ray.wait(list(self._flights), timeout=timeout, fetch_local=False)
        while ready:
            for flight in ready:
                found += self._received(flight)
            if not self._flights:
                break
            ready, _ = self._ray.wait(list(self._flights), num_returns=len(self._flights), timeout=0, fetch_local=False)
        return found

    def stop(self) -> list[Event]:
        """Cancel all tasks and return their last events; those that train save their runs before they end."""
        for flight in self._flights:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(flight)
        deadline, found = time.monotonic() + interrupt.LONGEST_GOODBYE, list[Event]()
        while self._flights and (left := deadline - time.monotonic()) > 0:
            ready, _ = self._ray.wait(list(self._flights), timeout=left, fetch_local=False)
            for flight in ready:
                found += self._received(flight, leaving=True)
        self._flights.clear()
        self._still(self._landed, LOOK)
        return found

    def _still(self, landed: list[Any], timeout: float) -> list[Any]:
        """Wait up to `timeout` seconds, and return the tasks that have not ended by then."""
        if not landed:
            return []
        ended, rest = self._ray.wait(landed, num_returns=len(landed), timeout=timeout, fetch_local=False)
        for flight in ended:
            with contextlib.suppress(StopIteration, self._ray.exceptions.RayError):
                self._ray.get(next(flight))
        return list(rest)

    def close(self) -> None:
        """End a cluster that was started here; of another cluster end only the tasks of this command."""
        if not self._answered:  # Ray would wait for the head, and end this process with its own message
            atexit.register(_leave)
        elif self._ray.is_initialized():
            self.stop()
            self._ray.shutdown()

    def _has_head(self) -> bool:
        """Whether the head node answers now; without it some calls of Ray would never return.

        Raises StudyStoppedError if it has not answered for `HEADLESS` seconds.
        """
        now = time.monotonic()
        if now - self._looked < STALE:
            return self._answered == self._looked
        self._looked = now
        try:
            socket.create_connection(self._head, timeout=STALE).close()
        except OSError:
            if self._answered and now - self._answered > HEADLESS:
                self._answered = 0.0
                raise StudyStoppedError(
                    f"engine=ray: the head of the cluster, {':'.join(map(str, self._head))}, is gone; what was "
                    "recorded before is whole: start the same command again when there is a cluster"
                ) from None
            return False
        self._answered = now
        return True

    def _start(self, remote: RemoteTask, checkpoint: Files | None = None, needs: Needs | None = None) -> Any:
        needs = needs or self._needs
        options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus}
        return self._carry.options(**options).remote(remote, self._images, checkpoint)

    def _answers(self, flight: Any) -> list[Answer]:
        """All answers to a question; an empty list if the task or its node is lost."""
        answers: list[Answer] = []
        while True:
            try:
                interrupt.check()
            except KeyboardInterrupt:
                self._ray.cancel(flight)
                raise
            ready, _ = self._ray.wait([flight], timeout=LOOK, fetch_local=False)
            if not ready:
                continue
            try:
                answers.append(self._ray.get(next(flight)))
            except StopIteration:
                return answers
            except self._ray.exceptions.RayTaskError as error:
                raise InputError(of_ours(error)) from None
            except self._ray.exceptions.RayError:
                return []

    def _received(self, flight: Any, *, leaving: bool = False) -> list[Event]:
        """The next event of a run's task; a task that failed is retried or reported."""
        errors = self._ray.exceptions
        job = self._flights[flight]
        try:
            word = self._ray.get(next(flight))
        except StopIteration:
            return self._lost(flight, "was ended by somebody else", leaving)
        except errors.TaskCancelledError:
            return self._lost(flight, "was cancelled by somebody else", leaving)
        except (errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError):
            del self._flights[flight]
            if leaving:
                return []
            self.submit(job)
            return [Noted(job.run.id, "its node is gone; another one goes on")]
        except errors.RayTaskError as error:
            raise StudyStoppedError(of_ours(error)) from None
        except errors.RayError as error:
            memory = isinstance(error, errors.OutOfMemoryError)
            return self._lost(flight, "was ended since its node ran out of memory" if memory else "died", leaving)
        if isinstance(word, Refused):
            raise StudyStoppedError(f"engine=ray: {word.message}; what was recorded before is whole")
        if isinstance(word, SentFile):
            word.deliver()
            return []
        if isinstance(word, Begun) and word.run_id in self._alone:
            self._alone[word.run_id] = True
        if isinstance(word, (RunDone, Mismatch)):
            del self._flights[flight]
            self._landed.append(flight)
            if isinstance(word, RunDone) and self._was_crowded(word):
                if leaving:  # such a run is left to the next start
                    return []
                self._alone[word.run_id] = False
                self.submit(job)
                return [Noted(word.run_id, CROWDED)]
            self._alone.pop(job.run.id, None)
            self._attempts.note(word)
        return [word]

    def _was_crowded(self, done: RunDone) -> bool:
        """Whether a run lacked memory on a GPU that it may have shared with others."""
        return done.outcome.status == "out_of_memory" and 0 < self._needs.gpus < 1 and done.run_id not in self._alone

    def _lost(self, flight: Any, what: str, leaving: bool) -> list[Event]:
        """Retry a run whose process is gone, as often as `engine.retries` allows, else report it as failed."""
        job = self._flights.pop(flight)
        events = [] if leaving else self._attempts.died(job, what)
        if any(isinstance(event, RunDone) for event in events):
            self._alone.pop(job.run.id, None)
        return events

    def _nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive. Raises StudyStoppedError if the head is lost: Ray's own call would never return."""
        answer: Future[list[dict[str, Any]]] = Future()

        def ask() -> None:
            try:
                answer.set_result(self._ray.nodes())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)

        Thread(target=ask, daemon=True).start()
        while not wait([answer], LOOK).done:
            self._has_head()
        return [node for node in answer.result() if node["Alive"]]

    def _room(self) -> int:
        when, count = self._counted
        if time.monotonic() - when > STALE:
            count = sum(self._needs.fit_on(node["Resources"]) for node in self._nodes())
            self._counted = (time.monotonic(), count)
        return count

    def _whole(self) -> Needs:
        """The resources of a whole node, to measure on. Raises InputError if no node has what the study asks for."""
        device, deadline, wish = self.study.device, time.monotonic() + self.study.engine.patience, None
        while True:
            there = [node["Resources"] for node in self._nodes()]
            with_gpu = [resources for resources in there if resources.get("GPU", 0) >= 1]
            if device != "cpu" and with_gpu:
                return Needs(1, 1)
            cores = [int(resources.get("CPU", 0)) for resources in there]
            if device != "cuda" and max(cores, default=0) >= 1:
                return Needs(max(cores), 0)
            interrupt.check()
            if wish is None:  # an autoscaler adds nodes only for tasks that wait
                wanted = {"num_gpus": 1} if device == "cuda" else {"num_cpus": 1}
                wish = self._ray.remote(**wanted, max_retries=0)(_nothing).remote()
            if time.monotonic() > deadline or self.study.engine.address == "local":
                raise InputError(
                    f"device={device}: the cluster has {len(there)} nodes with {sum(cores)} CPUs and no GPU; allowed: "
                    "device=cpu, another engine.address, or more engine.patience where the cluster scales itself"
                    if device == "cuda"
                    else f"engine.address={self.study.engine.address}: no node of the cluster offers a CPU"
                )
            time.sleep(LOOK)

    def _look_around(self) -> None:
        """Check on each node that libraries and sources are the same, and whether it sees the folders of this one."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        data = placed(self.study.data)
        make_folder(self.folder / "local")
        token = mark(self.folder)
        here = look(self.folder, token, data, sent := packed())
        remote = self._ray.remote(num_cpus=0, max_retries=0)(look)
        asked = {
            remote.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            ).remote(self.folder, token, data, sent): f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            for node in self._nodes()
            if node["Resources"].get("GPU" if self._needs.gpus else "CPU", 0) >= 1
        }
        _, silent = self._ray.wait(list(asked), num_returns=len(asked), timeout=self.study.engine.patience)
        if silent:
            raise InputError(f"engine=ray: {asked[silent[0]]} does not answer within {self.study.engine.patience:g} s")
        looks: list[tuple[str, Look]] = []
        for reference, name in asked.items():
            try:
                looks.append((name, self._ray.get(reference)))
            except self._ray.exceptions.RayTaskError as error:
                raise InputError(f"engine=ray: {name}: {of_ours(error)}") from None
            except self._ray.exceptions.RayError:
                _LOGGER.warning("engine=ray: %s was lost before the study began", name)  # as where a cluster shrinks
        for name, there in looks:
            _refuse_other(name, here, there)
        if not looks:
            raise InputError(
                f"engine.address={self.study.engine.address}: all nodes were lost while they were looked at"
            )
        self._sends = not all(there.sees for _, there in looks)
        if is_on_disk(data) and not all(there.has_data for _, there in looks):
            self._images = self._ray.put(images(data))


def _refuse_other(name: str, here: Look, there: Look) -> None:
    """Raise InputError if a node would train with other versions of libraries or other sources."""
    for library, own in here.versions.items():
        if there.versions[library] != own:
            raise InputError(
                f"engine=ray: {name} has {library} {there.versions[library]} and this machine {own}; install the same"
            )
    if there.sources != here.sources:
        raise InputError(f"engine=ray: {name} has another version of this program; install the same")


def _leave() -> None:
    """End a process whose cluster is gone without Python's usual cleanup, in which Ray's threads sometimes crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _nothing() -> None:
    """The body of a task that only shows that the cluster starts tasks."""


def _carried(remote: RemoteTask, files: Files | None, checkpoint: Files | None) -> Iterator[object]:
    """The body of a task: carry it out with the images and the checkpoint that were sent with it, if any."""
    remote = _with_images(remote, files)
    job = remote.task
    if checkpoint is None or not isinstance(job, Job):
        # One by one, not `yield from`: Ray sends values into the generator, and not every iterator accepts them.
        for word in carry_out(remote):
            yield word
        return
    with run_files(job, checkpoint) as here:
        for word in carry_out(replace(remote, task=here.there)):
            for sent in here.outgoing():  # noqa: UP028 - before the event that the run has paused or ended
                yield sent
            yield word


def _with_images(remote: RemoteTask, files: Files | None) -> RemoteTask:
    if files is None:
        return remote
    local, task = partial(replace, path=arrived(files)), remote.task
    if isinstance(task, HostQuestion):
        return replace(remote, task=replace(task, data=local(task.data)))
    if isinstance(task, Job):
        return replace(remote, task=replace(task, run=replace(task.run, data=local(task.run.data))))
    return remote
