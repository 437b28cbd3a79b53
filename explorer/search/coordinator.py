"""The coordinator: the one process that decides what runs next and writes the study's record."""

import math
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from explorer.engine.contract import Engine
from explorer.engine.open import open_engine
from explorer.host import signals as interrupt
from explorer.host.console import PLAIN, say
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import counted
from explorer.host.meters import Meters
from explorer.record import folder as study
from explorer.record import records
from explorer.record.changes import refuse_other_settings, settled
from explorer.record.labels import keep_labels
from explorer.record.progress import progress_of, refuse_foreign, settings_so_far
from explorer.record.rows import Decision, RunRecord, record_of
from explorer.record.starts import Fork, Started, begin, keep_normalisation, started_study
from explorer.search.display import Clock, Counter, waiting
from explorer.search.execution_plan import natively, propose, resumed, with_convolutions, with_latency
from explorer.search.fork import execution_of, reuse_runs
from explorer.search.measuring import Measurer
from explorer.search.mirror import mirror_of, mirrored
from explorer.search.note import note_in
from explorer.search.readings import Readings
from explorer.search.rungs import chosen
from explorer.search.sampler import sampler_name
from explorer.search.spending import Spending
from explorer.search.state import PageUpdater, State, forget, kept_seconds, open_state
from explorer.search.trackers.process import Trackers, of_study
from explorer.search.train_speeds import lacking, measured_speeds
from explorer.study.designs import Setting
from explorer.study.job import (
    Begun,
    Counted,
    EpochDone,
    Event,
    HostQuestion,
    HostReport,
    Job,
    Mismatch,
    Noted,
    Placement,
    RunDone,
)
from explorer.study.lengths import Lengths, lengths_in
from explorer.study.plan import Plan, refuse_beyond_memory, refuse_test_that_was_trained_on, some_designs
from explorer.study.price import price_in
from explorer.study.run import FINAL_STATUSES, Execution, Outcome, Run
from explorer.study.runs import is_judged, own_execution, refuse_batch, runs_of
from explorer.study.settings import MOST_EPOCHS, TRAINED

# Shown until the engine gives its first answer, by name of the engine.
BEGINNINGS = {"local": "Starting a worker", "ray": "Reaching the Ray cluster", "slurm": "Waiting for a first job"}
SOME = 9  # number of designs on which the execution plan of a search is measured


def run_study(
    plan: Plan,
    folder: Path,
    console: Console,
    page_updater: PageUpdater | None = None,
    fork: Fork | None = None,
    engine: Engine | None = None,
    like: Execution | None = None,
    data_hash: str = "",
) -> int:
    """Train what the record lacks and return the number of failed runs; `page_updater` works meanwhile.

    A new study that is a `fork` of another begins with those runs of the other that it can reuse. `engine` replaces the
    engine of the settings. A new study is executed `like` another one whose execution is given, without measuring.
    Where `data_hash` is given, other images are refused before anything is trained on them.
    Raises InputError for what a person can repair, and StudyStoppedError if the cost check fails or a file of the study
    cannot be written.
    """
    config, clock = plan.config, Clock()
    sampler = sampler_name(config.search.sampler, config.search.sampler_seed) if config.search.is_adaptive else ""
    with _stopped_by_files(), study.locked(folder):
        study.drop_partial(folder)
        before = started_study(folder)
        if before is not None:
            refuse_other_settings(before, config)
        kept = {
            "searches": config.search.is_adaptive,
            "filters": config.records_filters,
            "measures": bool(config.measures),
        }
        healed, past = records.open_for_writing(folder, **kept, rungs=config.rungs)
        for line in healed:
            console.print(line, **PLAIN)
        refused = False
        try:
            with waiting(console, f"{BEGINNINGS[config.engine.name]}, reading images"):
                engine = engine or open_engine(config, folder, progress_of(plan, past).left)
                (host_report,) = engine.ask(HostQuestion(config.data, config.device, config.recipe))
            assert isinstance(host_report, HostReport)
            labels, host_report = host_report.test_labels, replace(host_report, test_labels="")  # jobs need none
            if data_hash and host_report.data_hash != data_hash:
                raise InputError(
                    f"{config.data.place}: holds other images than those of the study: their hash is "
                    f"{host_report.data_hash}, needed is {data_hash}; restore them, say where they are "
                    "(data.path), or begin another study for these by adding name=..."
                )
            refuse_test_that_was_trained_on(config, host_report.test_by_seed)
            refuse_batch(config, host_report.images[0])
            console.print(f"Study {config.name}: record in {folder}", **PLAIN)
            missed, points = plan.left_out
            if missed:
                console.print(f"Points of the space that miss the budget and are left out: {missed:,} of {points:,}")
            measurer = Measurer(config, host_report, engine)
            settings = settings_so_far(plan, past)
            ran = {*past.runs["setting"].tolist()}
            workers, at_once, execution = _execution(measurer, plan, settings, before, console, fork, like, ran)
            readings = Readings(measurer, execution, folder, dict(past.readings))
            with Counter(console).shown() as readings.count:
                settings = readings.of(settings)
            if not config.search.is_adaptive:
                readings.refuse_outside(settings)
            plan = _with_lengths(measurer, plan, settings, before, execution, at_once, console)
            speeds = plan.lengths.speeds
            if before is not None:
                refuse_foreign(config, folder, runs_of(plan, settings, execution, host_report.data_hash), past)
            start = begin(folder, before, config, execution, host_report, fork, sampler, speeds, at_once)
            records.upgrade(folder, **kept)
            readings.write()
            keep_labels(folder, labels)
            for line in start.messages:
                console.print(line, **PLAIN)
            if reuse_runs(plan, past, folder, execution, start, console):
                past = records.load(folder)
            with Counter(console).shown() as readings.count:
                state = open_state(measurer, plan, settings, past, folder, execution, workers, console, readings)
            readings.count = state.display.counter
            state.clock, state.page_updater, state.start = clock, page_updater, start.number
            with _spending(state, at_once, console):
                _run_all(state, engine)
                say(console, clock.summary())
        except (InputError, KeyboardInterrupt):
            refused = True
            raise
        finally:
            if engine is not None:
                engine.close()
            if refused:  # only now, after `close` has removed the engine's own files
                study.drop_unbegun(folder)
    return state.failed


@contextmanager
def _stopped_by_files() -> Iterator[None]:
    """Stop the study with one line if a file cannot be written, as on a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise StudyStoppedError(
            f"{error.filename}: {error.strerror}; the study stops here, and what was recorded before is whole: make "
            "room, or repair whatever else is wrong with the disk, and start the same command again"
        ) from error


def _execution(
    measurer: Measurer,
    plan: Plan,
    settings: tuple[Setting, ...],
    before: Started | None,
    console: Console,
    fork: Fork | None,
    like: Execution | None,
    ran: Set[str],
) -> tuple[int, int, Execution]:
    """The number of runs at once, on all devices and on one of them, and the execution plan.

    The plan is the recorded one of the study, or a new one, measured now. What it lacks of the settings that `ran`, as
    where an earlier version wrote it under engine.forms=native, was executed as it is.
    """
    config = plan.config
    _tell(measurer, console)
    runs = plan.designs * plan.seeds
    old = settled(before, config, measurer.host_report) or execution_of(fork, measurer) or like
    began, known = time.perf_counter(), settings or some_designs(plan, SOME)
    there = measurer.host_report
    is_short = (there.has_bfloat16 or there.has_float16) and config.engine.precision != "float32"
    refuse_beyond_memory(plan, known, there.memory, 2 if is_short else 4)
    with waiting(console) as tell:
        measurer = replace(measurer, tell=tell)
        found = resumed(measurer, old, known, runs) if old else propose(measurer, known, runs)
        execution = natively(found.execution, (one for one in settings if one.name in ran), config.data.task)
        execution = with_convolutions(measurer, execution, settings, found.workers)
    asked = config.engine.workers
    placement = Placement(measurer.host_report, execution, found.workers, min(runs, runs if asked == "auto" else asked))
    workers = measurer.engine.open(placement)
    merged = sum(any(own_execution(execution, setting, config.data.task).convolutions) for setting in settings)
    console.print(
        f"{workers} at once on {execution.device_name}, {counted(execution.threads, 'thread')} each, "
        f"{execution.precision}"
        f"{', fused batch norms' if execution.norms == 'fused' else ''}"
        f"{', channels first' if execution.layout == 'contiguous' else ''}"
        f"{'' if execution.deterministic else ', not deterministic'}"
        f"{', sharing the GPU through MPS' if there.versions.get('mps') and workers > 1 else ''}"
        f"{f'; grouped convolutions in another form in {merged} of {len(settings)} settings' if merged else ''} "
        f"(chosen in {time.perf_counter() - began:.1f} s"
        f"{'' if found.measured else '; what this was too short to measure clearly is as is usual for such a device'})",
        markup=False,
        highlight=False,
    )
    return workers, min(workers, found.workers), execution


def _with_lengths(
    measurer: Measurer,
    plan: Plan,
    settings: tuple[Setting, ...],
    before: Started | None,
    execution: Execution,
    at_once: int,
    console: Console,
) -> Plan:
    """The plan with what the lengths of its runs follow from: recorded speeds, and those that are lacking, measured."""
    past = lengths_in(before.environment, str(before.folder / study.ENVIRONMENT)).speeds if before else {}
    images = measurer.host_report.images[0]
    plan = plan.with_lengths(Lengths(images, {**plan.lengths.speeds, **past}))
    if lacking(plan, settings):
        with waiting(console) as tell:
            speeds = measured_speeds(replace(measurer, tell=tell), plan, settings, execution, at_once)
        plan = plan.with_lengths(Lengths(images, speeds))
    if plan.config.budget.train != "epochs" and settings:
        steps = [plan.steps_of(one) or 0 for one in settings]
        equal = TRAINED[plan.config.budget.train]
        console.print(f"Steps of a run for equal {equal}: {min(steps):,} to {max(steps):,}", **PLAIN)
        for setting in settings:
            if plan.recipe_of(setting).epochs_on(images) > MOST_EPOCHS:
                raise InputError(
                    f"budget.train={plan.config.budget.train}: {setting.name} would train for more than "
                    f"{MOST_EPOCHS:,} epochs; leave it out of the space, or take fewer recipe.epochs"
                )
    return plan


def _tell(measurer: Measurer, console: Console) -> None:
    """Report how many images each part of the data has, and which were left out."""
    train, val, test = measurer.host_report.images
    validate = f"the {val:,} to validate among them" if measurer.config.data.joined else f"{val:,} to validate"
    console.print(
        f"{measurer.config.data.label}: {train:,} images to train, {validate}, {test:,} to test",
        markup=False,
        highlight=False,
    )
    if skipped := measurer.host_report.skipped:
        console.print(
            f"{counted(len(skipped), 'image')} {'was' if len(skipped) == 1 else 'were'} left out: "
            f"{'; '.join(skipped[:3])}"
            f"{'; ...' if len(skipped) > 3 else ''}; all are named in environment.json",
            **PLAIN,
        )
    for line in measurer.host_report.warnings:
        console.print(line, **PLAIN)


def _ask(state: State) -> None:
    """Ask the search for its next design, if it may have one more, and queue the runs of that design.

    If latency or a measure of an extension is measured, nothing else may run: this waits until nothing is trained, and
    then takes one design for each worker.
    """
    measures = "latency" in state.config.search.objectives or state.readings.measures
    if measures and state.running:
        return
    count = min(state.to_ask, state.workers if measures else 1)
    with _still(state) if measures else nullcontext():
        asked = [setting for setting in (state.trials.ask() for _ in range(count)) if setting is not None]
        if not asked and state.readings.bounds:  # only measuring shows how many there are
            raise state.readings.too_few(state.plan.designs)
        state.to_ask = state.to_ask - len(asked) if len(asked) == count or state.readings.bounds else 0
        if not asked:
            return
        settings = state.readings.of(with_latency(state.measurer, state.execution, asked))
    state.trials.note(settings)
    decisions = [chosen(setting, state.config.search.sampler) for setting in settings]
    records.decide(state.folder, decisions)
    for decision in decisions:
        state.rungs.note(decision)
    execution = with_convolutions(state.measurer, state.execution, settings, state.workers)
    if execution != state.execution:
        study.write_execution(state.folder, execution)
        state.execution = execution
    runs = runs_of(state.plan, settings, execution, state.measurer.host_report.data_hash)
    state.waiting.extend(runs)
    state.display.expect(sum(state.work(run, setting) for setting, run in runs), len(runs))


@contextmanager
def _still(state: State) -> Iterator[None]:
    """Let nothing of this study but the body use the machine, so that times can be measured."""
    page, trackers = state.page_updater, state.trackers
    still = page.still() if page else nullcontext(), trackers.still() if trackers else nullcontext()
    with still[0], still[1], state.display.counter.shown(draws=False):
        yield


@contextmanager
def _spending(state: State, at_once: int, console: Console) -> Iterator[None]:
    """Note in the record what the body spends, if anything is trained in it here; `at_once` runs share a device.

    However it ends, what it spent is said.
    """
    config, is_local = state.config, state.config.engine.name == "local"
    if config.is_told or not (state.waiting or state.to_ask):
        yield
        return
    devices = math.ceil(state.workers / at_once)
    meters = Meters(state.measurer.host_report.gpus[:devices]) if is_local else None
    price = price_in(config.engine.price)
    state.spending = Spending(state.folder, state.clock, meters, price, devices, at_once, is_local)
    try:
        yield
    finally:
        # On a full disk, what is told is what ended the start.
        with suppress(OSError) if sys.exception() else nullcontext():
            state.spending.note(at_end=True)
        if line := state.spending.words(state.execution.device):
            say(console, f"Spent on {config.name}: {line}")
        if meters:
            meters.close()


def _run_all(state: State, engine: Engine) -> None:
    mirror = mirror_of(state.config.storage, state.config.name, state.folder)
    state.trackers = Trackers(of_study(state.folder), state.config.storage.trackers)
    mirroring = mirrored(state.trials, mirror, partial(note_in, state.folder))
    with state.display, mirroring, state.trackers, state.page_updater or nullcontext():
        _loop(state, engine)


def _loop(state: State, engine: Engine) -> None:
    with interrupt.deferred():
        while state.waiting or state.running or state.to_ask:
            if state.spending:
                state.spending.note()
            engine.wanted, kept, in_time = _wanted(state), partial(kept_seconds, state.folder), True
            while engine.free > 0:
                if not state.waiting and (in_time := state.limit.has_time_for_another(state.plan.seeds)):
                    _ask(state)
                if not state.waiting or not (in_time := state.limit.admits(state.waiting, kept)):
                    break
                setting, run = state.waiting.popleft()
                state.running[run.id] = (setting, run)
                state.display.started(setting, run, queued=state.config.engine.name != "local")
                state.clock.submitted(run.id, before := kept(run.id))
                state.limit.begin(setting, run, before)
                engine.submit(_job(state, setting, run))
            if interrupt.requested():
                over = interrupt.is_late()
                why = "The time is over" if over else "Leaving"
                state.display.tell(f"{why}: what is being trained is saved; ask again to leave at once")
                for event in engine.stop():
                    _handle(event, state)
                if over and (state.running or _wanted(state)):
                    raise interrupt.TimeOverError
                break
            if not in_time and not state.running and _wanted(state):
                state.display.tell("Nothing more would end in the time that is left")
                raise interrupt.TimeOverError
            for event in engine.events(timeout=1.0):
                _handle(event, state)


def _wanted(state: State) -> int:
    """How many jobs may still be submitted: waiting runs, those of designs yet to be chosen, those paused at a rung."""
    paused = sum(map(len, state.rungs.paused.values()))
    return len(state.waiting) + state.to_ask * state.plan.seeds + paused


def _job(state: State, setting: Setting, run: Run) -> Job:
    weights = None
    if state.config.storage.weights == "last":
        weights = str(study.make_folder(state.folder / "local" / "weights") / f"{run.id}.safetensors")
    return Job(
        run,
        needs_count=setting.name not in state.fvcore_macs,
        judges=is_judged(state.config, run),
        weights=weights,
        loaders=0 if state.config.engine.loaders == "auto" else state.config.engine.loaders,
        checkpoints=str(study.checkpoints(state.folder) / run.id),
        save_every=state.config.engine.save_every,
        until=state.rungs.until(setting.name),
        filters=state.config.records_filters,
    )


def _handle(event: Event, state: State) -> None:
    match event:
        case Begun(run_id):
            state.clock.begun(run_id)
            state.display.begun(run_id)
            state.limit.begin(*state.running[run_id], kept_seconds(state.folder, run_id))
        case Counted(run_id, fvcore_macs):
            state.fvcore_macs[state.running[run_id][0].name] = fvcore_macs
        case EpochDone(run_id, result):
            # A run that starts again after its process died reports its first epoch anew.
            kept = [past for past in state.epochs.get(run_id, []) if past.epoch < result.epoch]
            state.epochs[run_id] = [*kept, result]
            if state.display.epoch(run_id, result):
                setting, run = state.running[run_id]
                state.limit.epoch(setting, run, result, 1 / state.display.epochs_of(run))
        case Noted(run_id, message):
            if run_id in state.continued:  # its own words for a checkpoint are those of a run that was interrupted
                message = message.replace("goes on after", "continued by the search after", 1)
            state.display.note(*state.running[run_id], message)
        case RunDone(run_id, outcome):
            setting, run = state.running.pop(run_id)
            state.clock.ended(run_id, outcome.seconds)
            state.limit.end(run_id)
            if outcome.cost is not None:
                state.trials.note_told(setting.name, outcome.cost)
            if outcome.status == "paused":
                state.rungs.pause(setting.name, run, outcome)
                state.display.paused(run_id)
            else:
                state.display.finished(_record(state, setting, run, outcome))
                _log_failure(state, setting, run, event)
            _judge(state, setting)
        case Mismatch(message):
            raise StudyStoppedError(f"the cost check failed and nothing more was run: {message}")


def _judge(state: State, setting: Setting) -> None:
    """Once all seeds of a design have reached its rung, decide whether to train it further or to stop it."""
    rungs = state.rungs
    waiting = list(rungs.paused.get(setting.name, {}).values())
    if not rungs.is_stopped(setting.name):
        error = rungs.error(setting.name, 1 - 1 / state.config.data.classes)
        if error is None:
            return
        epochs = waiting[0][1].epochs
        word = "continued" if state.trials.goes_on(setting, epochs, error) else "stopped"
        decision = Decision(setting.name, word, epochs, error, state.config.search.sampler)
        records.decide(state.folder, [decision])
        rungs.note(decision)
    if rungs.is_stopped(setting.name):
        for run, outcome in waiting:
            message = f"stopped by the search after epoch {outcome.epochs}"
            record = _record(state, setting, run, replace(outcome, status="pruned", message=message))
            state.display.stopped(setting, run, record)
    else:
        rungs.paused.pop(setting.name)
        state.continued.update(run.id for run, _ in waiting)
        state.waiting.extendleft((setting, run) for run, _ in reversed(waiting))


def _record(state: State, setting: Setting, run: Run, outcome: Outcome) -> RunRecord:
    """Record the outcome of a run; unless it failed and will be tried again, delete its checkpoints."""
    config, macs = state.config, state.fvcore_macs.get(setting.name)
    record = record_of(config, setting, run, outcome, fvcore_macs=macs, finished=study.now(), start=state.start)
    if outcome.normalisation is not None:
        keep_normalisation(state.folder, run.seed, *outcome.normalisation)
    keep_labels(state.folder, outcome.test_labels, run.seed)
    epochs = state.epochs.pop(run.id, [])
    records.commit(state.folder, record, epochs, outcome)
    state.trials.add(record, {one.epoch: one.val_error for one in epochs})
    if outcome.status in FINAL_STATUSES:
        state.rungs.end(setting.name, run.seed)
        forget(state.folder, run.id)
    return record


def _log_failure(state: State, setting: Setting, run: Run, event: RunDone) -> None:
    """Write the traceback of a failed run to a log, for whoever can repair the cause."""
    if event.outcome.status == "failed":
        state.failed += 1
        path = state.folder / "local" / "failures.log"
        try:
            with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(f"{study.now()} {setting.name} seed {run.seed}: {event.outcome.message}\n{event.details}\n")
        except OSError as error:
            state.display.note(setting, run, f"{path} cannot be written ({error.strerror})")
