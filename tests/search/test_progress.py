import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from explorer.host.console import PlainConsole, say
from explorer.record.folder import checkpoints
from explorer.search.display import FRAME, Clock, Display, work_of
from explorer.search.state import kept_seconds
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.checkpoint import Checkpoint, save
from tests.search.test_trials import record
from tests.study.test_planning import EXECUTION


def show(tiny: StudyConfig, *, terminal: bool) -> str:
    """What a person sees of a study whose first run ends while its second is in its first epoch."""
    output = io.StringIO()
    runs = runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, "hash")
    console = Console(file=output, force_terminal=terminal, width=100)
    with Display(console, len(runs), 0, sum(work_of(run, setting) for setting, run in runs), 2) as display:
        for setting, run in runs[:2]:
            display.started(setting, run)
        display.epoch(runs[1][1].id, EpochResult(1, 0.1, 2.345, 0.5, 0.25, 1.0))
        (setting, run), *_ = runs
        done = record(setting.name, 0, 0.125)
        display.finished(replace(done, run=run.id))
        if terminal:
            console.print(display._render())
    return output.getvalue()


def test_away_from_a_terminal_there_is_one_plain_line_per_run(tiny: StudyConfig) -> None:
    (line,) = show(tiny, terminal=False).splitlines()
    assert line.startswith("[1/4] ResNet-11 (1x4d, w16) seed 0: val error 12.50 %, 1.5 s, ")
    assert line.endswith(" left")


def test_on_a_terminal_running_settings_show_epoch_and_error(tiny: StudyConfig) -> None:
    shown = show(tiny, terminal=True)
    for part in ("1/4", "ResNeXt-11 (2x3d, w16)", "1/2", "2.345", "25.0 %", "left"):
        assert part in shown


def test_a_terminal_shows_as_many_runs_as_it_has_lines_for(tiny: StudyConfig) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=FRAME + 3)
    runs = runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, "hash")
    display = Display(console, len(runs), 0, 1.0, 2)
    for setting, run in runs:
        display.started(setting, run)
    with console.capture() as shown:
        console.print(display._render())
    assert shown.get().count("-11 (") == 3
    assert shown.get().endswith("more\n")


def test_the_clock_tells_what_workers_did_besides_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    clock = Clock(began=now)
    now = 110.0  # ten seconds of preparation count for both workers
    clock.submitted("a")
    clock.submitted("b")
    now = 150.0
    clock.ended("a", 40.0)
    clock.submitted("c")
    now = 160.0
    clock.ended("b", 45.0)
    now = 200.0
    clock.ended("c", 50.0)
    assert clock.summary().startswith("3 runs in 1 min 40 s; 15.6 % of the workers' time was not training")


def test_epochs_found_in_a_checkpoint_are_done_but_took_this_start_no_time(
    tiny: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, runs = 100.0, runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, "hash")[:1]
    ((setting, run),) = runs
    run = replace(run, recipe=replace(run.recipe, epochs=10))
    monkeypatch.setattr("time.perf_counter", lambda: now)
    display = Display(Console(file=io.StringIO()), 1, 0, work_of(run, setting), epochs=10)
    display.started(setting, run)
    now += 3.0
    for epoch in range(1, 5):  # at once, though each took 10 s
        display.epoch(run.id, EpochResult(epoch, 0.1, 2.0, 0.5, 0.25, 10.0))
    assert display._time_left() == "time left unknown yet"
    now += 10.0
    display.epoch(run.id, EpochResult(5, 0.1, 2.0, 0.5, 0.25, 10.0))
    assert display._time_left() == "50 s left"  # 10 s for one epoch, and five are left; 3 s before it came once
    # Another process goes on from the same checkpoint: its epochs were counted before.
    for epoch in range(1, 6):
        display.epoch(run.id, EpochResult(epoch, 0.1, 2.0, 0.5, 0.25, 10.0))
    assert display._time_left() == "50 s left"


def test_seconds_of_earlier_starts_are_not_time_of_this_ones_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    clock = Clock(began=now)
    clock.submitted("a", kept=90.0)  # which a checkpoint holds
    now = 110.0
    clock.ended("a", 92.0)
    clock.submitted("a", kept=92.0)  # continued after its rung
    now = 120.0
    clock.ended("a", 97.0)
    clock.submitted("b")  # its checkpoint lies on another machine: no more than has passed counts
    now = 130.0
    clock.ended("b", 60.0)
    assert clock.summary().startswith("2 runs in 30 s; 43.3 % of the workers' time was not training")


def test_the_seconds_of_a_checkpoint_are_read_without_its_tensors(tmp_path: Path) -> None:
    own = checkpoints(tmp_path) / "a"
    assert kept_seconds(tmp_path, "a") == 0.0
    save(own, "a", Checkpoint((), 12.5, 10.0, {"weight": torch.zeros(3)}, steps=2))
    assert kept_seconds(tmp_path, "a") == 12.5
    (own / "000009-00000000.safetensors").write_bytes(b"cut")  # a newer one that cannot be read
    assert kept_seconds(tmp_path, "a") == 12.5


@pytest.mark.parametrize("terminal", [True, False])
def test_sentences_break_between_words_on_a_terminal_alone(terminal: bool) -> None:
    output = io.StringIO()
    words = "  budget: " + ", ".join(f"params-{number}_held_equal" for number in range(9))
    say(PlainConsole(file=output, force_terminal=terminal, width=50), words, indent=4)
    lines = output.getvalue().splitlines()
    assert " ".join(line.strip() for line in lines) == words.strip()
    assert (max(map(len, lines)) <= 50) == terminal
    assert all(line.startswith("    params") for line in lines[1:])


def test_time_left_holds_the_runs_yet_to_be_chosen_and_the_final_round(
    tiny: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ((setting, run), *_) = 100.0, runs_of(plan_of(tiny), plan_of(tiny).settings, EXECUTION, "hash")
    run = replace(run, recipe=replace(run.recipe, epochs=10))
    monkeypatch.setattr("time.perf_counter", lambda: now)
    # Four of ten runs ended earlier, two are to do, four to be chosen, and then six.
    work = work_of(run, setting)
    display = Display(
        Console(file=io.StringIO()), 10, 4, 2 * work, epochs=10, known_work=6 * work, unknown_runs=4, final_runs=6.0
    )
    display.started(setting, run)
    display.begun(run.id)
    now += 10.0
    display.epoch(run.id, EpochResult(1, 0.1, 2.0, 0.5, 0.25, 10.0))
    assert display._time_left() == "19 min 50 s left"  # 12 runs of 100 s each, less the one epoch
    display.paused(run.id)
    display.stopped(setting, run, replace(record(setting.name, 0, 0.5), run=run.id, status="pruned", epochs=1))
    # The six known runs are cheaper by 0.9 of one, and so is each of the four in six that are yet to be chosen.
    assert display._time_left() == "17 min 20 s left"
    assert Display(Console(file=io.StringIO()), 10, 10, 0.0, 10, known_work=10 * work)._time_left() == (
        "time left unknown yet"
    )
