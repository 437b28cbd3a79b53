"""The Slurm engine: jobs of the cluster, submitted as arrays, each of which trains run after run for the coordinator.

A run then does not wait in the queue, and the start of a job pays for many runs. Both sides exchange messages through
files in the study's folder, which all machines must see. A job that is about to reach its time limit, or is preempted,
saves its runs and is queued again by submitit; meanwhile another job continues these runs.
"""

import contextlib
import hashlib
import logging
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from explorer.engine.contract import accepted, dismissed
from explorer.engine.local import LOOK
from explorer.engine.messages import Asked, Box, Goodbye, Hello
from explorer.engine.remote import absolute, narrowed, placed
from explorer.engine.retries import Attempts
from explorer.engine.slurm_cluster import PATIENCE, cancel, executor, queue, refuse_cluster, still, submit
from explorer.engine.slurm_job import BEAT, IN, OUT, PAUSE, SlurmJob
from explorer.host import signals as interrupt
from explorer.host.cache import cache_folder
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import in_one_line
from explorer.record.folder import JOBS, LEAVE, make_folder
from explorer.study.job import Answer, Event, HostQuestion, Job, Noted, Placement, Question, Refused, RunDone
from explorer.study.settings import EngineConfig, StudyConfig

CHECK = 5.0  # seconds between two queries of the cluster about its jobs
STILLBORN = 3  # jobs in a row that end before their first message, after which the study stops
QUEUED = ("PENDING", "REQUEUE", "SPECIAL_EXIT")  # how states begin of jobs that wait, also of those that have begun
AGAIN = "its job was put into the queue again; another one goes on"
QUIET = 10.0  # seconds that a job may wait in the queue before that is reported
# Slurm's reasons with which a job would wait in the queue for ever.
HOPELESS = {
    *("PartitionConfig", "PartitionTimeLimit", "PartitionNodeLimit", "PartitionDown", "PartitionInactive"),
    *("AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit"),
    *("BadConstraints", "InvalidAccount", "InvalidQOS"),
}
_LOGGER = logging.getLogger(__name__)


@dataclass
class _Known:
    """What the coordinator knows of a job of the cluster."""

    name: str
    job: Any  # submitit's
    inbox: Box
    outbox: Box
    life: int = 0
    is_up: bool = False
    leaves: bool = False
    was_queued: bool = False  # at the last look at the queue, although it has begun
    busy: dict[str, Job] = field(default_factory=dict)


@dataclass
class SlurmEngine:
    """Trains runs in jobs of a Slurm cluster; as many run at once as fit into the jobs that have begun."""

    study: StudyConfig
    folder: Path
    wanted: int = 1
    _root: Path = field(init=False)
    _attempts: Attempts = field(init=False)
    _executor: Any = field(init=False)
    _jobs: list[_Known] = field(default_factory=list)
    _homeless: list[Job] = field(default_factory=list)
    _placement: Placement | None = None
    _checked: float = field(default_factory=time.monotonic)
    _submitted: int = 0
    _stillborn: int = 0
    _last_warning: str = ""
    _began: bool = False  # whether any job has begun
    _asked: float = 0.0
    _late: list[Event] = field(default_factory=list)  # events that came while a question was being answered

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self._attempts = Attempts(self.study.engine.retries, self._homeless.append)
        if self.study.engine.executor == "slurm":
            refuse_cluster(self.study.engine)
        parent = make_folder(self.folder / JOBS)
        self._end_earlier()
        self._root = parent / secrets.token_hex(8)
        self._root.mkdir(mode=0o700)
        try:
            self._executor = executor(self.study.engine, self._root, _name(self._root))
        except InputError:
            shutil.rmtree(self._root)
            raise
        self._beat()

    @property
    def free(self) -> int:
        """How many more runs fit into the jobs that have begun."""
        room = sum(self._room(one) for one in self._jobs)
        return min(room, self._most - self._busy) - len(self._homeless)

    @property
    def _most(self) -> int:
        return self._placement.most if self._placement else 1

    @property
    def _busy(self) -> int:
        return sum(len(one.busy) for one in self._jobs)

    @property
    def _each(self) -> int:
        """Runs that a job executes at once."""
        return self._placement.at_once * len(self._placement.host_report.devices) if self._placement else 1

    def _room(self, one: _Known) -> int:
        return self._each - len(one.busy) if one.is_up and not one.leaves else 0

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Send a question to processes of one job; the first question submits the first job, which may be queued."""
        if isinstance(question, HostQuestion):
            question = replace(
                question, data=placed(question.data), device=_device(self.study.device, self.study.engine)
            )
        for _ in range(self.study.engine.retries + 1):
            answers = self._answers(Asked(question, workers))
            if answers:
                return [narrowed(answer, self.study.engine.cores) for answer in accepted(answers)]
        raise InputError("engine=slurm: the job that was to measure was lost again and again; see what squeue says")

    def open(self, placement: Placement) -> int:
        """Set how runs are executed, for every job that begins, and submit the other jobs as one array."""
        self._placement = placement
        for one in self._jobs:
            if one.is_up:
                one.inbox.put(placement)
        self.wanted = placement.most
        self._have_enough()
        return min(placement.most, self.study.engine.jobs * self._each)

    def submit(self, job: Job) -> None:
        """Give a run to the job that has the most room."""
        one = max(self._jobs, key=self._room, default=None)
        if one is None or not self._room(one):
            self._homeless.append(job)
            return
        one.busy[job.run.id] = job
        one.inbox.put(absolute(job))

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, waiting up to `timeout` seconds for the first one."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._news()
            if found or time.monotonic() > deadline:
                return found
            time.sleep(PAUSE)

    def stop(self) -> list[Event]:
        """Make all jobs save their runs and end, and return their last events; queued jobs are cancelled."""
        (self._root / LEAVE).touch()
        known = _states(self._jobs, self.study.engine)
        for one in self._jobs:
            if not one.is_up and one.name in known:
                _cancel(one)
        deadline, found = time.monotonic() + interrupt.LONGEST_GOODBYE + CHECK, list[Event]()
        while any(one.is_up for one in self._jobs) and time.monotonic() < deadline:
            for one in self._jobs:
                for message in one.outbox.take():
                    if isinstance(message, Goodbye):
                        one.is_up = False
                    elif isinstance(message, Event):
                        found.append(message)
            time.sleep(PAUSE)
        for one in self._jobs:
            if one.is_up:
                _cancel(one)
        return found

    def close(self) -> None:
        """End all jobs without collecting events; only the logs of jobs that wrote something are left."""
        if self._root.exists():
            self.stop()
            _until_gone(self._jobs, self.study.engine)
            shutil.rmtree(self._root, ignore_errors=True)
            with contextlib.suppress(OSError):
                _ledger(self._root).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another start's jobs may still be there
                self._root.parent.rmdir()

    def _news(self) -> list[Event]:
        """The events of all jobs; every `CHECK` seconds also the jobs that the cluster has lost."""
        self._beat()
        found, self._late = self._late, []
        for one in list(self._jobs):
            for message in one.outbox.take():
                found += self._understood(one, message)
        if time.monotonic() - self._checked > CHECK:
            self._checked = time.monotonic()
            found += self._missing()
            self._have_enough()
        while self._homeless and self.free + len(self._homeless) > 0:
            self.submit(self._homeless.pop(0))
        return found

    def _understood(self, one: _Known, message: Any) -> list[Event]:
        match message:
            case Hello(life):
                again = self._bereaved(one, AGAIN)
                one.life, one.is_up, self._stillborn, self._began = life, True, 0, True
                if self._placement is not None:
                    one.inbox.put(self._placement)
                return again
            case Goodbye(why):
                one.is_up = False
                return self._bereaved(one, f"{why}; another one goes on")
            case Refused(message):
                raise StudyStoppedError(f"engine=slurm: {message}; what was recorded before is whole")
            case RunDone(run_id):
                one.busy.pop(run_id, None)
                self._attempts.note(message)
        return [message]

    def _bereaved(self, one: _Known, what: str) -> list[Event]:
        """Queue the runs of a job that ended for other jobs; that does not count as a failure of the runs."""
        jobs, one.busy = list(one.busy.values()), {}
        self._homeless += jobs
        return [Noted(job.run.id, what) for job in jobs]

    def _missing(self) -> list[Event]:
        """Find jobs that went without a goodbye, whose runs go on elsewhere.

        The cluster no longer lists them, or has put them into the queue again, as it does when a node is lost; of that
        it has to tell twice, since a job may begin between its word and this look.
        """
        states, found = _states(self._jobs, self.study.engine), list[Event]()
        for one in list(self._jobs):
            is_queued = one.is_up and states.get(one.name, "").startswith(QUEUED)
            one.was_queued, is_gone = is_queued, is_queued and one.was_queued
            if one.name in states and not is_gone:
                continue
            for message in one.outbox.take():
                found += self._understood(one, message)
            if is_gone:
                one.is_up = one.was_queued = False
                found += self._bereaved(one, AGAIN)
                continue
            self._jobs.remove(one)
            if not one.life:
                self._stillborn += 1
                if self._stillborn >= STILLBORN:
                    raise StudyStoppedError(self._stillborn_message(one))
            for job in one.busy.values():
                found += self._attempts.died(job, f"ended with Slurm job {one.job.job_id}")
        return found

    def _stillborn_message(self, one: _Known) -> str:
        said = ""
        for path in (one.job.paths.stderr, one.job.paths.stdout):
            with contextlib.suppress(OSError):
                said = said or path.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        log = self.folder / "local" / "failures.log"
        with contextlib.suppress(OSError):
            log.write_text(one.job.paths.stderr.read_text(encoding="utf-8", errors="replace"), encoding="utf-8")
        return (
            f"engine=slurm: job {one.job.job_id} ended before its first word "
            f"({in_one_line(said) or 'none were left'}); is {self._root.parent} on a path that all nodes see, and this "
            f"project installed there? More in {log}"
        )

    def _have_enough(self) -> None:
        """Submit as many jobs as there is work for, as one array, and end those for which there is none."""
        needed = -(-(self._busy + len(self._homeless) + self.wanted) // self._each)
        needed = max(1, min(self.study.engine.jobs, needed, -(-self._most // self._each)))
        staying = [one for one in self._jobs if not one.leaves]
        idle = sorted((one for one in staying if not one.busy), key=lambda one: one.is_up)
        for one in idle[: max(0, len(staying) - needed)]:
            one.leaves = True
            (self._root / one.name / LEAVE).touch()
            if not one.is_up:
                _cancel(one)
        if needed > len(staying):
            try:
                self._submit(needed - len(staying))
            except InputError as error:
                if not self._began:
                    raise
                self._warn(f"{error}; it is tried again")  # what runs goes on

    def _submit(self, count: int) -> None:
        own, names = self.study.engine, [f"{self._submitted + number:04d}" for number in range(count)]
        self._submitted += count
        for name in names:
            (self._root / name).mkdir()
        work = [SlurmJob(self._root, name, own.retries, own.silence) for name in names]
        jobs = submit(self._executor, work)
        for name, job in zip(names, jobs, strict=True):
            place = self._root / name
            self._jobs.append(_Known(name, job, Box(place / IN), Box(place / OUT)))
        # Without this list the next start cannot cancel jobs that outlive the coordinator: they then end by themselves.
        with contextlib.suppress(OSError), _ledger(self._root).open("a", encoding="utf-8") as file:
            file.writelines(f"{job.job_id}\n" for job in jobs)

    def _answers(self, asked: Asked) -> list[Answer]:
        """All answers to a question; an empty list if the job that was asked is gone."""
        self._have_enough()
        one = self._awaited()
        one.inbox.put(asked)
        life, answers = one.life, list[Answer]()
        while len(answers) < asked.workers:
            interrupt.check()
            time.sleep(PAUSE)
            self._beat()
            for message in one.outbox.take():
                if isinstance(message, get_args(Answer)):
                    answers.append(message)
                    if isinstance(message, Refused):
                        return answers
                else:
                    self._late += self._understood(one, message)
            if one.life != life or not one.is_up:
                return []
            if not self._is_known(one):
                self._late += self._missing()
                return []
        return answers

    def _awaited(self) -> _Known:
        """Wait for a job that has begun, and return it. Raises InputError if none ever will."""
        began = time.monotonic()
        while True:
            if there := [one for one in self._jobs if one.is_up and not one.leaves]:
                return there[0]
            interrupt.check()
            try:
                self._late = self._news()
            except StudyStoppedError as error:
                raise InputError(str(error)) from None
            if time.monotonic() - began > QUIET:
                self._warn_of_queue()
            time.sleep(PAUSE)

    def _warn_of_queue(self) -> None:
        """Report why a job waits in the queue, once per reason. Raises InputError for a reason that never passes."""
        if time.monotonic() - self._asked < CHECK:
            return
        self._asked, states = time.monotonic(), _states(self._jobs, self.study.engine)
        for one in self._jobs:
            state, _, reason = states.get(one.name, "").partition(" ")
            words = f"Slurm job {one.job.job_id} is {state.lower()} ({reason or 'no reason given'})"
            if reason in HOPELESS:
                raise InputError(f"engine=slurm: {words}, which does not pass; ask for something else in engine.*")
            if state == "PENDING":
                self._warn(f"{words}; Ctrl-C takes it out of the queue")

    def _warn(self, words: str) -> None:
        """Log a warning, unless it is the same as the last one."""
        if words != self._last_warning:
            self._last_warning = words
            _LOGGER.warning("%s", words)

    def _is_known(self, one: _Known) -> bool:
        if time.monotonic() - self._checked > CHECK:
            self._checked = time.monotonic()
            return one.name in _states(self._jobs, self.study.engine)
        return True

    def _beat(self) -> None:
        """Touch the heartbeat file, by which jobs know that the coordinator is alive."""
        (self._root / BEAT).touch()

    def _end_earlier(self) -> None:
        """End the jobs of an earlier start that was killed; this start continues their runs from their checkpoints.

        The folder may come from other people and name any job id. So this waits for and cancels only jobs that are in
        the user's own list of that start, which lies outside the folder, and that have its name. Other jobs are asked
        to end, and do so by themselves without a heartbeat.
        """
        for root in dismissed(self.folder):
            with contextlib.suppress(OSError):
                ids = _ledger(root).read_text(encoding="utf-8").split()
                deadline = time.monotonic() + PATIENCE
                while (left := still(_name(root), ids, self.study.engine)) and time.monotonic() < deadline:
                    time.sleep(LOOK)
                if left and self.study.engine.executor == "slurm":
                    cancel(_name(root), left)
                _ledger(root).unlink()
            shutil.rmtree(root, ignore_errors=True)


def _name(root: Path) -> str:
    """The name in the cluster of the jobs of a start."""
    return f"explorer-{root.name}"


def _ledger(root: Path) -> Path:
    """The file in the user's cache with the ids of the jobs that a start has submitted, named by a hash of its path."""
    return cache_folder("slurm") / hashlib.sha256(str(root).encode()).hexdigest()[:32]


def _device(asked: str, engine: EngineConfig) -> str:
    """The device of all jobs: "cpu" if they request no GPU. Raises InputError for `device=cuda` without a GPU."""
    if not engine.gpus and asked == "cuda":
        raise InputError("engine.gpus=0: device=cuda needs one; allowed: 1 and more, or device=cpu")
    return asked if engine.gpus else "cpu"


def _states(jobs: list[_Known], engine: EngineConfig) -> dict[str, str]:
    """State and reason, by name, of each job that the cluster still lists; "UNKNOWN" for all if it does not answer."""
    if engine.executor == "local":
        return {one.name: "RUNNING" for one in jobs if not one.job.done()}
    try:
        known = queue([str(one.job.job_id) for one in jobs])
    except InputError:
        known = None
    if known is None:
        return {one.name: "UNKNOWN" for one in jobs}
    return {one.name: known[str(one.job.job_id)] for one in jobs if str(one.job.job_id) in known}


def _cancel(one: _Known) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        one.job.cancel(check=False)


def _until_gone(jobs: list[_Known], engine: EngineConfig) -> None:
    """Wait up to `CHECK` seconds for jobs that have said goodbye, whose logs are still being written."""
    deadline = time.monotonic() + CHECK
    while jobs and _states(jobs, engine) and time.monotonic() < deadline:
        time.sleep(PAUSE)
