"""The Slurm engine: jobs of the cluster, submitted as arrays, of which each trains run after run for the coordinator.

So a run does not wait in the queue, and a job is worth the time it takes to begin. Both sides speak through files in
the study's folder, which all machines must see. A job that is about to reach its time limit, or is preempted, has its
runs saved and is put into the queue again by submitit; meanwhile another job goes on with them.
"""

import contextlib
import io
import logging
import secrets
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from explorer import interrupt
from explorer.errors import InputError, StudyStoppedError
from explorer.folder import JOBS, make_folder
from explorer.job import Answer, Begun, Event, Job, Mismatch, Noted, Question, Refused, RunDone, Survey, Terms
from explorer.machine import described
from explorer.search.attempts import Attempts
from explorer.search.elsewhere import absolute, answered, narrowed, placed, unfit
from explorer.search.letters import Asked, Box, Goodbye, Hello
from explorer.search.local import LOOK, LocalEngine
from explorer.settings import EngineConfig, StudyConfig

try:
    import submitit
except ImportError:
    raise InputError("engine=slurm: needs the package submitit; pip install 'resnext-explorer[slurm]'") from None

PAUSE = 0.25  # seconds between two looks into the boxes
CHECK = 5.0  # seconds between two questions to the cluster about its jobs
PATIENCE = 25.0  # seconds that a command of the cluster may take
STILLBORN = 3  # jobs in a row that end before their first word, after which the study stops
QUIET = 10.0  # seconds in the queue of which nothing is said
ENDLESS = 1_000_000  # times that a job may reach its time limit
IN, OUT, LEAVE, BEAT, IDS = "in.jsonl", "out.jsonl", "leave", "beat", "ids"
# Why a job waits, where it would wait for ever.
HOPELESS = {
    *("PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "PartitionDown"),
    *("AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit", "PartitionInactive"),
}
_LOGGER = logging.getLogger(__name__)


class Station:
    """What a job does: it serves the coordinator of a study until that, the cluster or the clock ends it.

    Called by submitit on the machine where the job runs; `checkpoint` by its signal handler.
    """

    def __init__(self, root: Path, name: str, retries: int, silence: float) -> None:
        """`root` is the place of all jobs of this start of the study, `name` that of this one in it."""
        self.root, self.name, self.retries, self.silence = root, name, retries, silence

    def __call__(self) -> None:
        """Serve. Signals reach the main thread, so that what they do never stands in the middle of a word."""
        self._ended = ""  # why the cluster ends this job, if it does
        signal.signal(signal.SIGTERM, self._end)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(LOOK)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Have all runs saved, and say how to go on when the cluster has room again."""
        self._ended = "the cluster ended its job, which is queued again"
        self._thread.join(interrupt.LONGEST_GOODBYE + 2 * LOOK)
        return submitit.helpers.DelayedSubmission(Station(self.root, self.name, self.retries, self.silence))

    def _end(self, *_: object) -> None:
        """What Slurm sends before it kills: at a cancellation, and at a preemption that it requeues by itself."""
        self._ended = "the cluster ended its job"

    def _serve(self) -> None:
        place = self.root / self.name
        inbox, outbox, beat = Box(place / IN), Box(place / OUT), _Beat(self.root / BEAT, self.silence)
        life = 1 + sum(isinstance(letter, Hello) for letter in Box(place / OUT).take())
        inbox.take()  # what was meant for an earlier life is given to others
        engine = LocalEngine(self.retries, self.silence, slots=1000)
        terms: Terms | None = None
        outbox.put(Hello(life, str(described()["host"])))
        try:
            while not (why := self._reason(beat)):
                for letter in inbox.take():
                    if isinstance(letter, Terms):
                        terms = letter
                        engine.open(replace(terms, most=1000))
                    else:
                        self._do(letter, terms, engine, outbox)
                for event in engine.events(PAUSE):
                    outbox.put(event)
            for event in engine.stop():
                outbox.put(event)
            outbox.put(Goodbye(why))
        finally:
            engine.close()

    def _do(self, letter: Any, terms: Terms | None, engine: LocalEngine, outbox: Box) -> None:
        if isinstance(letter, Job):
            outbox.put(Begun(letter.run.id))
            if terms is not None and (problem := unfit(terms.surroundings, letter, engine)):
                outbox.put(Refused(problem))
                return
            engine.submit(letter)
        else:
            for answer in answered(letter.question, letter.workers, engine):
                outbox.put(answer)

    def _reason(self, beat: "_Beat") -> str:
        """Why to leave, in words; empty where there is no reason."""
        if self._ended:
            return self._ended
        if (self.root / LEAVE).exists() or (self.root / self.name / LEAVE).exists():
            return "it was asked to leave"
        return "the coordinator is gone" if beat.is_lost() else ""


@dataclass
class _Beat:
    """A file that the coordinator touches now and then. Only whether it changes counts, as clocks may differ."""

    path: Path
    longest: float
    _last: int = 0
    _since: float = field(default_factory=time.monotonic)

    def is_lost(self) -> bool:
        with contextlib.suppress(OSError):
            last = self.path.stat().st_mtime_ns
            if last != self._last:
                self._last, self._since = last, time.monotonic()
        return time.monotonic() - self._since > self.longest


@dataclass
class _Known:
    """What the coordinator knows of a job of the cluster."""

    name: str
    job: Any  # submitit's
    inbox: Box
    outbox: Box
    life: int = 0
    host: str = ""
    is_up: bool = False
    leaves: bool = False
    busy: dict[str, Job] = field(default_factory=dict)


@dataclass
class SlurmEngine:
    """Runs in jobs of a Slurm cluster; as many run at once as its jobs that have begun have room for."""

    study: StudyConfig
    folder: Path
    wanted: int = 1
    _root: Path = field(init=False)
    _attempts: Attempts = field(init=False)
    _executor: Any = field(init=False)
    _jobs: list[_Known] = field(default_factory=list)
    _homeless: list[Job] = field(default_factory=list)
    _terms: Terms | None = None
    _checked: float = field(default_factory=time.monotonic)
    _submitted: int = 0
    _stillborn: int = 0
    _told: str = ""
    _asked: float = 0.0
    _late: list[Event] = field(default_factory=list)  # what came while a question was being answered

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self._attempts = Attempts(self.study.engine.retries)
        if self.study.engine.executor == "slurm":
            _refuse_cluster(self.study.engine)
        parent = make_folder(self.folder / JOBS)
        self._end_earlier(parent)
        self._root = parent / secrets.token_hex(4)
        self._root.mkdir(mode=0o700)
        self._executor = _executor(self.study.engine, self._root)
        self._beat()

    @property
    def free(self) -> int:
        """Room in the jobs that have begun."""
        room = sum(self._room(one) for one in self._jobs)
        return min(room, self._most - self._busy) - len(self._homeless)

    @property
    def _most(self) -> int:
        return self._terms.most if self._terms else 1

    @property
    def _busy(self) -> int:
        return sum(len(one.busy) for one in self._jobs)

    @property
    def _each(self) -> int:
        """Runs that a job executes at once."""
        return self._terms.at_once * len(self._terms.surroundings.devices) if self._terms else 1

    def _room(self, one: _Known) -> int:
        return self._each - len(one.busy) if one.is_up and not one.leaves else 0

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        """Put a question to the processes of one job; the first question begins the first job, which may be queued."""
        if isinstance(question, Survey):
            question = replace(
                question, data=placed(question.data), device=_device(self.study.device, self.study.engine)
            )
        for _ in range(self.study.engine.retries + 1):
            answers = self._answers(Asked(question, workers))
            if answers:
                for answer in answers:
                    if isinstance(answer, Refused):
                        raise InputError(answer.message)
                return [narrowed(answer, self.study.engine.cores) for answer in answers]
        raise InputError("engine=slurm: the job that was to measure was lost again and again; see what squeue says")

    def open(self, terms: Terms) -> int:
        """Submit the other jobs, as one array, and tell each that begins how runs are executed."""
        self._terms = terms
        for one in self._jobs:
            if one.is_up:
                one.inbox.put(terms)
        self.wanted = terms.most
        self._have_enough()
        return min(terms.most, self.study.engine.jobs * self._each)

    def submit(self, job: Job) -> None:
        """Give a run to the job that has the most room."""
        one = max(self._jobs, key=self._room, default=None)
        if one is None or not self._room(one):
            self._homeless.append(job)
            return
        one.busy[job.run.id] = job
        one.inbox.put(absolute(job))

    def events(self, timeout: float) -> list[Event]:
        """What has happened since the last call."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._news()
            if found or time.monotonic() > deadline:
                return found
            time.sleep(PAUSE)

    def stop(self) -> list[Event]:
        """Have all jobs save their runs and end; those that still wait in the queue are taken out of it."""
        (self._root / LEAVE).touch()
        for one in self._jobs:
            if not one.is_up:
                _cancel(one)
        deadline, found = time.monotonic() + interrupt.LONGEST_GOODBYE + CHECK, list[Event]()
        while any(one.is_up for one in self._jobs) and time.monotonic() < deadline:
            for one in self._jobs:
                for letter in one.outbox.take():
                    if isinstance(letter, Goodbye):
                        one.is_up = False
                    elif isinstance(letter, Event):
                        found.append(letter)
            time.sleep(PAUSE)
        for one in self._jobs:
            if one.is_up:
                _cancel(one)
        return found

    def close(self) -> None:
        """The same, and nothing is left but the words of jobs that had something to say."""
        if self._root.exists():
            self.stop()
            _until_gone(self._jobs, self.study.engine)
            shutil.rmtree(self._root, ignore_errors=True)

    def _news(self) -> list[Event]:
        """Letters of all jobs; now and then also what the cluster says of them."""
        self._beat()
        found, self._late = self._late, []
        for one in list(self._jobs):
            for letter in one.outbox.take():
                found += self._understood(one, letter)
        if time.monotonic() - self._checked > CHECK:
            self._checked = time.monotonic()
            found += self._missing()
            self._have_enough()
        while self._homeless and self.free + len(self._homeless) > 0:
            self.submit(self._homeless.pop(0))
        return found

    def _understood(self, one: _Known, letter: Any) -> list[Event]:
        match letter:
            case Hello(life, host):
                again = self._bereaved(one, "its job was put into the queue again; another one goes on")
                one.life, one.host, one.is_up, self._stillborn = life, host, True, 0
                if self._terms is not None:
                    one.inbox.put(self._terms)
                return again
            case Goodbye(why):
                one.is_up = False
                return self._bereaved(one, f"{why}; another one goes on")
            case Refused(message):
                raise StudyStoppedError(f"engine=slurm: {message}; what was recorded before is whole")
            case RunDone() | Mismatch():
                if isinstance(letter, RunDone):
                    one.busy.pop(letter.run_id, None)
                self._attempts.note(letter)
                return [letter]
        return [letter]

    def _bereaved(self, one: _Known, what: str) -> list[Event]:
        """Runs of a job that has left them find another one; that is no fault of theirs."""
        jobs, one.busy = list(one.busy.values()), {}
        self._homeless += jobs
        return [Noted(job.run.id, what) for job in jobs]

    def _missing(self) -> list[Event]:
        """Jobs that the cluster no longer knows, and have not said why, are gone with all they had begun."""
        states, found = _states(self._jobs, self.study.engine), list[Event]()
        for one in list(self._jobs):
            if one.name in states:
                continue
            for letter in one.outbox.take():
                found += self._understood(one, letter)
            self._jobs.remove(one)
            if not one.life:
                self._stillborn += 1
                if self._stillborn >= STILLBORN:
                    raise StudyStoppedError(self._told_stillborn(one))
            for job in one.busy.values():
                word = self._attempts.died(job, f"ended with Slurm job {one.job.job_id}")
                if not isinstance(word, RunDone):
                    self._homeless.append(job)
                found.append(word)
        return found

    def _told_stillborn(self, one: _Known) -> str:
        said = ""
        for path in (one.job.paths.stderr, one.job.paths.stdout):
            with contextlib.suppress(OSError):
                said = said or path.read_text(errors="replace").strip().rpartition("\n")[2]
        kept = self.folder / "local" / "failures.log"
        with contextlib.suppress(OSError):
            kept.write_text(one.job.paths.stderr.read_text(errors="replace"))
        return (
            f"engine=slurm: job {one.job.job_id} ended before its first word ({_line(said) or 'it left no words'}); is "
            f"{self._root.parent} on a path that all nodes see, and is this project installed there? More in {kept}"
        )

    def _have_enough(self) -> None:
        """Submit as many jobs as there is work for, as one array, and let those go for which there is none."""
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
            self._submit(needed - len(staying))

    def _submit(self, count: int) -> None:
        own, names = self.study.engine, [f"{self._submitted + number:04d}" for number in range(count)]
        self._submitted += count
        for name in names:
            (self._root / name).mkdir()
        work = [Station(self._root, name, own.retries, own.silence) for name in names]
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # into which submitit copies what the error says as well
                jobs = self._executor.submit_array(work)
        except (submitit.core.utils.FailedJobError, OSError) as error:
            raise InputError(f"engine=slurm: the cluster does not take the job ({_line(error)})") from None
        for name, job in zip(names, jobs, strict=True):
            place = self._root / name
            self._jobs.append(_Known(name, job, Box(place / IN), Box(place / OUT)))
        with (self._root / IDS).open("a") as file:
            file.writelines(f"{job.job_id}\n" for job in jobs)

    def _answers(self, asked: Asked) -> list[Answer]:
        """All answers of a question; none where the job that was asked is gone."""
        self._have_enough()
        one = self._awaited()
        one.inbox.put(asked)
        life, answers = one.life, list[Answer]()
        while len(answers) < asked.workers:
            interrupt.check()
            time.sleep(PAUSE)
            self._beat()
            for letter in one.outbox.take():
                if isinstance(letter, get_args(Answer)):
                    answers.append(letter)
                    if isinstance(letter, Refused):
                        return answers
                else:
                    self._late += self._understood(one, letter)
            if one.life != life or not one.is_up or not self._is_known(one):
                return []
        return answers

    def _awaited(self) -> _Known:
        """A job that has begun; where none has, the next one that does. Raises InputError where none ever will."""
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
                self._tell_queue()
            time.sleep(PAUSE)

    def _tell_queue(self) -> None:
        """Say why the first job waits, once for each reason. Raises InputError for a reason that does not pass."""
        if time.monotonic() - self._asked < CHECK:
            return
        self._asked = time.monotonic()
        for one in self._jobs:
            state, _, reason = _states(self._jobs, self.study.engine).get(one.name, "").partition(" ")
            words = f"Slurm job {one.job.job_id} is {state.lower()} ({reason or 'no reason given'})"
            if reason in HOPELESS:
                raise InputError(f"engine=slurm: {words}, which does not pass; ask for something else in engine.*")
            if state == "PENDING" and words != self._told:
                self._told = words
                _LOGGER.warning("%s; Ctrl-C takes it out of the queue", words)

    def _is_known(self, one: _Known) -> bool:
        if time.monotonic() - self._checked > CHECK:
            self._checked = time.monotonic()
            return one.name in _states(self._jobs, self.study.engine)
        return True

    def _beat(self) -> None:
        """Let the jobs know that somebody is there for whom they work."""
        (self._root / BEAT).touch()

    def _end_earlier(self, parent: Path) -> None:
        """End the jobs of an earlier start that was killed: their runs go on here from what they had saved."""
        for root in parent.iterdir():
            (root / LEAVE).touch()
            with contextlib.suppress(OSError):
                left = (root / IDS).read_text().split()
                deadline = time.monotonic() + PATIENCE
                while (left := _still(left, self.study.engine)) and time.monotonic() < deadline:
                    time.sleep(LOOK)
                if left and self.study.engine.executor == "slurm":
                    _run("scancel", *left)
            shutil.rmtree(root, ignore_errors=True)


def _device(asked: str, engine: EngineConfig) -> str:
    """The device of all jobs. Raises InputError for a GPU that no job asks for."""
    if not engine.gpus and asked == "cuda":
        raise InputError("engine.gpus=0: device=cuda needs one; allowed: 1 and more, or device=cpu")
    return asked if engine.gpus else "cpu"


def _executor(engine: EngineConfig, root: Path) -> Any:
    """What submits jobs. A job is requeued as often as it takes."""
    executor = submitit.AutoExecutor(
        folder=root, cluster=engine.executor, slurm_max_num_timeout=ENDLESS, local_max_num_timeout=ENDLESS
    )
    executor.update_parameters(
        name="explorer",
        timeout_min=engine.minutes,
        cpus_per_task=engine.cores,
        **({"gpus_per_node": engine.gpus} if engine.gpus else {}),
        **({"mem_gb": engine.memory} if engine.memory else {}),
        slurm_setup=list(engine.setup),
        local_setup=list(engine.setup),
        **{
            f"slurm_{key}": value
            for key in ("partition", "account", "qos", "constraint")
            if (value := getattr(engine, key)) is not None
        },
    )
    return executor


def _refuse_cluster(engine: EngineConfig) -> None:
    """Raise InputError where there is no cluster, or it has not the partition that is asked for."""
    done = _run("sinfo", "--noheader", "--format=%R")
    if done.returncode:
        raise InputError(f"engine=slurm: the cluster does not answer ({_line(done.stderr)})")
    there = sorted(set(done.stdout.split()))
    for name in (engine.partition or "").split(","):
        if name and name not in there:
            raise InputError(f"engine.partition={name}: the cluster has none of that name; allowed: {', '.join(there)}")


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    """A command of the cluster. Raises InputError where there is none, or it does not answer."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603 - its own words
    except FileNotFoundError:
        raise InputError(
            f"engine=slurm: {words[0]} is not on this machine; start the study where jobs are submitted, or try "
            "engine.executor=local"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"engine=slurm: the cluster does not answer within {PATIENCE:g} s ({words[0]})") from None


def _states(jobs: list[_Known], engine: EngineConfig) -> dict[str, str]:
    """State and reason of each job that the cluster still knows, by name; of all, where it does not answer now."""
    if engine.executor == "local":
        return {one.name: "RUNNING" for one in jobs if not one.job.done()}
    try:
        known = _queue([str(one.job.job_id) for one in jobs])
    except InputError:
        known = None
    if known is None:
        return {one.name: "UNKNOWN" for one in jobs}
    return {one.name: known[str(one.job.job_id)] for one in jobs if str(one.job.job_id) in known}


def _queue(ids: list[str]) -> dict[str, str] | None:
    """State and reason by id of jobs that wait or run; None where the cluster does not say."""
    arrays = sorted({one.partition("_")[0] for one in ids})
    done = _run("squeue", "--noheader", "--array", "--format=%i %T %r", f"--jobs={','.join(arrays)}")
    if done.returncode and "Invalid job id" not in done.stderr:
        return None
    return {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if " " in line}


def _still(ids: list[str], engine: EngineConfig) -> list[str]:
    """Those of the jobs of an earlier start that have not ended."""
    if engine.executor == "slurm":
        known = _queue(ids) if ids else {}
        return ids if known is None else [one for one in ids if one in known]
    return [one for one in ids if one.isdecimal() and Path(f"/proc/{one}").exists()]


def _cancel(one: _Known) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        one.job.cancel(check=False)


def _until_gone(jobs: list[_Known], engine: EngineConfig) -> None:
    """Wait a little for jobs that have said goodbye, whose words are still being written."""
    deadline = time.monotonic() + CHECK
    while jobs and _states(jobs, engine) and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _line(error: object) -> str:
    return " ".join(str(error).split())[-200:]
