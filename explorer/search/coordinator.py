"""The coordinator: the one process that decides what runs next and writes the study's record."""

import shutil
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from explorer import folder as study
from explorer import records
from explorer.errors import InputError, StudyStoppedError
from explorer.job import Counted, EpochDone, Event, Job, Mismatch, Noted, RunDone, Surroundings, Survey
from explorer.planning import Setting, baseline_wanted, candidates, designs_wanted, scope_of, settings_of, task_of
from explorer.progress import settings_so_far
from explorer.run import FINAL_STATUSES, Decision, EpochResult, Execution, Outcome, Run, RunRecord
from explorer.runs import own_execution, rate_of, refuse_batch, runs_of
from explorer.search.execution import Bench, propose, resumed, with_convolutions
from explorer.search.local import LocalEngine
from explorer.search.mirror import mirrored
from explorer.search.progress import Clock, Display, work_of
from explorer.search.rungs import BASELINE, Rungs, open_rungs
from explorer.search.trials import Trials, open_search, open_trials
from explorer.settings import StudyConfig

SOME = 9  # designs on which the plan of a search is made


@dataclass
class _State:
    """What the loop keeps between events."""

    config: StudyConfig
    folder: Path
    trials: Trials
    display: Display
    waiting: deque[tuple[Setting, Run]]
    execution: Execution
    bench: Bench
    workers: int
    rungs: Rungs
    to_ask: int = 0
    running: dict[str, tuple[Setting, Run]] = field(default_factory=dict)
    epochs: dict[str, list[EpochResult]] = field(default_factory=dict)
    fvcore_macs: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    clock: Clock = field(default_factory=Clock)


def run_study(config: StudyConfig, folder: Path, console: Console) -> int:
    """Train what the record lacks and return the number of failed runs.

    Raises InputError for what a person can mend and StudyStoppedError where the cost check fails.
    """
    settings_of(config)  # refuses what cannot be planned before anything is locked or started
    clock = Clock()
    with study.locked(folder):
        study.refuse_other_settings(folder, config)
        records.open_for_writing(folder, searches=config.search.is_adaptive)
        console.print(f"Study {config.name}: record in {folder}", markup=False, highlight=False)
        engine = LocalEngine(slots=1, retries=config.engine.retries)
        try:
            with console.status("Starting a worker, reading images"):
                (surroundings,) = engine.ask(Survey(config.data, config.device))
            assert isinstance(surroundings, Surroundings)
            refuse_batch(config, surroundings.images[0])
            bench = Bench(config, surroundings, engine)
            engine.slots, execution = _plan(bench, folder, console)
            study.begin(folder, config, execution, surroundings)
            state = _open(bench, folder, execution, engine.slots, console)
            state.clock = clock
            _run_all(state, engine)
            console.print(clock.told(), markup=False, highlight=False)
        finally:
            engine.close()
    return state.failed


def _plan(bench: Bench, folder: Path, console: Console) -> tuple[int, Execution]:
    """Workers at once, and the execution plan: the study's own, or a new one with what is measured for it."""
    config = bench.config
    settings = settings_so_far(config, records.load(folder))
    _tell(bench, console)
    runs = designs_wanted(config, settings) * config.search.seeds
    old = study.settled(folder, config, bench.surroundings)
    began, known = time.perf_counter(), settings or _some(config)
    with console.status("Measuring which way of executing runs is the fastest here"):
        plan = resumed(bench, old, known, runs) if old else propose(bench, known, runs)
        execution = with_convolutions(bench, plan.execution, settings, plan.workers)
    merged = sum(any(own_execution(execution, setting, task_of(config)).convolutions) for setting in settings)
    console.print(
        f"{plan.workers} at once on {execution.device_name}, {execution.threads} threads each, {execution.precision}"
        f"{', fused batch norms' if execution.norms == 'fused' else ''}"
        f"{f'; grouped convolutions in another form in {merged} of {len(settings)} settings' if merged else ''} "
        f"(chosen in {time.perf_counter() - began:.1f} s)",
        markup=False,
        highlight=False,
    )
    return plan.workers, execution


def _tell(bench: Bench, console: Console) -> None:
    """What is in the data, and what was left out of it."""
    train, val, test = bench.surroundings.images
    console.print(
        f"{bench.config.data.label}: {train:,} images to train, {val:,} to validate, {test:,} to test",
        markup=False,
        highlight=False,
    )
    if skipped := bench.surroundings.skipped:
        console.print(
            f"{len(skipped):,} images were left out: {'; '.join(skipped[:3])}"
            f"{'; ...' if len(skipped) > 3 else ''}; all are named in environment.json",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _some(config: StudyConfig) -> tuple[Setting, ...]:
    """Some of the designs a search may choose, evenly spread: its plan is measured on them."""
    pool, scope = candidates(config), scope_of(config)
    places = sorted({len(pool) * number // SOME for number in range(SOME)})
    return tuple(scope.setting(pool.architecture(place)) for place in places)


def _open(bench: Bench, folder: Path, execution: Execution, workers: int, console: Console) -> _State:
    """The state of a study as its record tells it."""
    config, data_hash = bench.config, bench.surroundings.data_hash
    past = records.load(folder)
    recorded = records.as_records(past.runs)
    settings = settings_so_far(config, past)
    trials, rungs = _trials(config, past), open_rungs(config)
    if missing := baseline_wanted(config) - len(past.chosen(BASELINE)):
        settings += _drawn(config, folder, trials, missing)
        past = records.load(folder)
    runs = runs_of(config, settings, execution, data_hash)
    to_ask = designs_wanted(config, settings) - len(settings)
    by_name = {setting.name: setting for setting in settings}
    for decision in past.decisions:
        rungs.note(decision)
        if decision.error is not None:  # so that the pruner knows what it knew
            trials.goes_on(by_name[decision.setting], decision.epochs, decision.error)
    for record in recorded:
        trials.add(record)
        if record.status in FINAL_STATUSES:
            rungs.end(record.setting, record.seed)
    final = {record.run for record in recorded if record.status in FINAL_STATUSES}
    for run_id in final:
        _forget(folder, run_id)
    waiting = deque((setting, run) for setting, run in runs if run.id not in final)
    _refuse_other_ids(config, folder, runs, recorded)
    display = Display(
        console=console,
        total_runs=len(runs) + to_ask * config.search.seeds,
        finished_runs=len(runs) - len(waiting),
        work_left=sum(work_of(run, setting) for setting, run in waiting),
        unknown_runs=to_ask * config.search.seeds,
    )
    counted = past.runs.dropna(subset="fvcore_macs")
    fvcore_macs = {str(name): int(macs) for name, macs in zip(counted["setting"], counted["fvcore_macs"], strict=True)}
    return _State(
        config, folder, trials, display, waiting, execution, bench, workers, rungs, to_ask, fvcore_macs=fvcore_macs
    )


def _trials(config: StudyConfig, past: records.Record) -> Trials:
    """The study's trials: all of them, or those that a search has had until now."""
    settings = settings_so_far(config, past)
    if not config.search.is_adaptive:
        return open_trials(config.name, settings, config.search.seeds)
    drawn = set(past.chosen(BASELINE))
    tried = tuple(setting for setting in settings if setting.name not in drawn)
    return open_search(config, tried, tuple(setting for setting in settings if setting.name in drawn))


def _drawn(config: StudyConfig, folder: Path, trials: Trials, count: int) -> tuple[Setting, ...]:
    """Some more designs drawn by chance, which the search is held against."""
    rng = np.random.default_rng([config.search.sampler_seed, 3, count])
    drawn = tuple(trials.draw(rng) for _ in range(count))
    records.decide(folder, [Decision(setting.name, "chosen", 0, None, BASELINE) for setting in drawn])
    return drawn


def _ask(state: _State) -> None:
    """Take a search's next design, if it may have one more, and queue its runs."""
    setting = state.trials.ask() if state.to_ask > 0 else None
    if setting is None:
        state.to_ask = 0
        return
    state.to_ask -= 1
    chosen = Decision(setting.name, "chosen", 0, None, state.config.search.sampler)
    records.decide(state.folder, [chosen])
    state.rungs.note(chosen)
    execution = with_convolutions(state.bench, state.execution, (setting,), state.workers)
    if execution != state.execution:
        study.write_execution(state.folder, execution)
        state.execution = execution
    runs = runs_of(state.config, (setting,), execution, state.bench.surroundings.data_hash)
    state.waiting.extend(runs)
    state.display.expect(sum(work_of(run, setting) for setting, run in runs), len(runs))


def _refuse_other_ids(
    config: StudyConfig, folder: Path, runs: list[tuple[Setting, Run]], recorded: list[RunRecord]
) -> None:
    """The same setting and seed under another id was made by other sources: it may not be repeated or mixed."""
    known = {(row.setting, row.seed, row.rate): row.run for row in recorded if row.status in FINAL_STATUSES}
    for setting, run in runs:
        old = known.get((setting.name, run.seed, rate_of(config, run)), run.id)
        if old != run.id:
            raise InputError(
                f"{folder}: {setting.name} seed {run.seed} is recorded as run {old}, which this "
                f"version calls {run.id}; continue with the version that wrote it, or start a new study with name=..."
            )


def _run_all(state: _State, engine: LocalEngine) -> None:
    mirror = mirrored(state.trials, state.folder) if state.config.storage.mirror == "sqlite" else None
    with state.display:
        if mirror is None:
            _loop(state, engine)
        else:
            with mirror:
                _loop(state, engine)


def _loop(state: _State, engine: LocalEngine) -> None:
    while state.waiting or state.running or state.to_ask:
        while engine.free:
            if not state.waiting:
                _ask(state)
            if not state.waiting:
                break
            setting, run = state.waiting.popleft()
            state.running[run.id] = (setting, run)
            state.display.started(setting, run)
            state.clock.submitted(run.id)
            engine.submit(_job(state, setting, run))
        for event in engine.events(timeout=1.0):
            _handle(event, state)


def _job(state: _State, setting: Setting, run: Run) -> Job:
    weights = None
    if state.config.storage.weights == "last":
        weights = str(study.make_folder(state.folder / "local" / "weights") / f"{run.id}.safetensors")
    return Job(
        run,
        needs_count=setting.name not in state.fvcore_macs,
        judges=not state.config.search.is_adaptive and rate_of(state.config, run) == 1,
        weights=weights,
        loaders=0 if state.config.engine.loaders == "auto" else state.config.engine.loaders,
        checkpoints=str(_checkpoints(state.folder, run.id)),
        until=state.rungs.until(setting.name),
    )


def _handle(event: Event, state: _State) -> None:
    match event:
        case Counted(run_id, fvcore_macs):
            state.fvcore_macs[state.running[run_id][0].name] = fvcore_macs
        case EpochDone(run_id, result):
            # A run that starts again after its process died reports its first epoch anew.
            kept = [past for past in state.epochs.get(run_id, []) if past.epoch < result.epoch]
            state.epochs[run_id] = [*kept, result]
            state.display.epoch(run_id, result)
        case Noted(run_id, message):
            state.display.note(*state.running[run_id], message)
        case RunDone(run_id, outcome):
            setting, run = state.running.pop(run_id)
            state.clock.ended(run_id, outcome.seconds)
            if outcome.status == "paused":
                state.rungs.pause(setting.name, run, outcome)
                state.display.paused(run_id)
            else:
                state.display.finished(_record(state, setting, run, outcome))
                _log_failure(state, setting, run, event)
            _judge(state, setting)
        case Mismatch(message):
            raise StudyStoppedError(f"the cost check failed and nothing more was run: {message}")


def _judge(state: _State, setting: Setting) -> None:
    """Where all seeds of a design have come to its rung: train it further, or stop it there."""
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
        state.waiting.extendleft((setting, run) for run, _ in reversed(waiting))


def _record(state: _State, setting: Setting, run: Run, outcome: Outcome) -> RunRecord:
    """Write down what came of a run, for good unless it failed; then its checkpoints are of no more use."""
    record = RunRecord(
        run=run.id,
        status=outcome.status,
        setting=setting.name,
        study=state.config.name,
        data=state.config.data.name,
        template=setting.architecture.template,
        depth=setting.architecture.depth,
        width=setting.architecture.widths[0],
        kernel_size=setting.architecture.kernel_size,
        cardinality=setting.architecture.cardinalities[0],
        bottleneck_width=setting.architecture.bottleneck_widths[0],
        params=setting.cost.params,
        macs=setting.cost.macs,
        fvcore_macs=state.fvcore_macs.get(setting.name),
        activations=setting.cost.activations,
        params_deviation=setting.params_deviation,
        macs_deviation=setting.macs_deviation,
        seed=run.seed,
        epochs=outcome.epochs,
        train_error=outcome.train_error,
        val_error=outcome.val_error,
        test_error=outcome.test_error,
        loss=outcome.loss,
        seconds=outcome.seconds,
        images_per_second=outcome.images_per_second,
        device=run.execution.device_name,
        classes=state.config.data.classes,
        finished=study.now(),
        message=outcome.message,
        block=setting.architecture.block,
        shortcut=setting.architecture.shortcut,
        activations_deviation=setting.activations_deviation,
        space="+".join(setting.spaces),
        rate=rate_of(state.config, run),
        form=setting.form,
    )
    records.commit(state.folder, record, state.epochs.pop(run.id, []), outcome)
    state.trials.add(record)
    if outcome.status in FINAL_STATUSES:
        state.rungs.end(setting.name, run.seed)
        _forget(state.folder, run.id)
    return record


def _log_failure(state: _State, setting: Setting, run: Run, event: RunDone) -> None:
    """What went wrong in a run, in full, for those who can mend it."""
    if event.outcome.status == "failed":
        state.failed += 1
        with (state.folder / "local" / "failures.log").open("a") as log:
            log.write(f"{study.now()} {setting.name} seed {run.seed}: {event.outcome.message}\n{event.details}\n")


def _checkpoints(folder: Path, run_id: str) -> Path:
    return folder / "local" / "checkpoints" / run_id


def _forget(folder: Path, run_id: str) -> None:
    shutil.rmtree(_checkpoints(folder, run_id), ignore_errors=True)
