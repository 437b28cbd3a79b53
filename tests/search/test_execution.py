"""How a study's runs are executed: chosen from what an engine answers, remembered, and fixed for the study."""

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from explorer.design.grouped import GroupedConv, grouped_convs
from explorer.host import cache
from explorer.host.errors import InputError
from explorer.search import measuring
from explorer.search.execution_plan import propose, resumed, with_convolutions
from explorer.search.measuring import Measurer, memory_needed
from explorer.study.designs import Setting
from explorer.study.job import (
    Answer,
    Forms,
    FormsQuestion,
    HostReport,
    Question,
    Speed,
    SpeedQuestion,
    TogetherQuestion,
)
from explorer.study.plan import plan_of
from explorer.study.run import Convolution, Execution
from explorer.study.runs import own_execution
from explorer.study.settings import StudyConfig
from explorer.training.forms_timing import MOST_TURNS

# Images per second of one worker: by precision, threads and how many work at once.
Speeds = dict[tuple[str, int, int], float]


@dataclass
class Scripted:
    """An engine that answers from a script and keeps what it was asked."""

    speeds: Speeds
    peak: int = 0
    asked: list[tuple[Question, int]] = field(default_factory=list)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        self.asked.append((question, workers))
        if isinstance(question, FormsQuestion):
            choices = tuple(Convolution(shape.key, shape.mergers("cpu")[-1]) for shape, _ in question.uses)
            return [Forms(choices)]
        assert isinstance(question, SpeedQuestion | TogetherQuestion)
        runs = question.runs if isinstance(question, SpeedQuestion) else (question.run,)
        return [Speed(tuple(self.turns(run.execution, workers) for run in runs), self.peak)] * workers

    def turns(self, execution: Execution, workers: int) -> tuple[float, ...]:
        """Speeds of one worker in some turns."""
        key = execution.precision, execution.threads, workers
        if key[1:] == (1, 1) and key not in self.speeds:  # one thread of those of all four cores
            return (self.speeds[execution.precision, 4, 1] / 4,) * 5
        return (self.speeds[key],) * 5


THERE = HostReport(
    "cpu", "some processor", "abcd", {"torch": "2"}, images=(8000, 40, 100), has_bfloat16=True, memory=2**34, cores=4
)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def study(tiny: StudyConfig) -> StudyConfig:
    """A study long enough to pay for measurements, which leaves everything to them."""
    engine = replace(tiny.engine, workers="auto", threads="auto", precision="auto", forms="auto")
    recipe = replace(tiny.recipe, epochs=400)
    return replace(tiny, engine=engine, recipe=recipe)


def measurer(config: StudyConfig, engine: Scripted, there: HostReport = THERE) -> Measurer:
    return Measurer(config, there, engine)  # type: ignore[arg-type]


FASTER_APART: Speeds = {
    ("float32", 4, 1): 100,
    ("bfloat16", 4, 1): 200,
    ("bfloat16", 1, 4): 90,
    ("bfloat16", 2, 2): 120,
    ("bfloat16", 2, 1): 125,
    ("bfloat16", 1, 2): 60,
}


def test_the_faster_precision_and_the_best_division_of_cores_are_taken(study: StudyConfig) -> None:
    plan = propose(measurer(study, Scripted(FASTER_APART)), plan_of(study).settings, runs=100)
    assert (plan.execution.precision, plan.execution.threads, plan.workers) == ("bfloat16", 1, 4)
    wide = FASTER_APART | {("bfloat16", 1, 4): 40, ("bfloat16", 2, 2): 90}
    other = replace(study, recipe=replace(study.recipe, batch_size=40))
    plan = propose(measurer(other, Scripted(wide)), plan_of(other).settings, runs=100)
    assert (plan.execution.threads, plan.workers) == (4, 1)


def test_a_division_that_is_not_clearly_faster_keeps_small_runs_apart(study: StudyConfig) -> None:
    close = FASTER_APART | {("bfloat16", 1, 4): 49, ("bfloat16", 2, 2): 101}
    assert propose(measurer(study, Scripted(close)), plan_of(study).settings, runs=100).workers == 4


def test_float32_is_kept_where_bfloat16_is_slower_or_missing(study: StudyConfig) -> None:
    slower = {("float32", 4, 1): 100.0, ("bfloat16", 4, 1): 50.0, ("float32", 1, 4): 60.0}
    slower |= {("float32", 2, 2): 60.0, ("float32", 1, 2): 60.0}
    assert (
        propose(measurer(study, Scripted(slower)), plan_of(study).settings, runs=100).execution.precision == "float32"
    )
    engine = Scripted({key: value for key, value in slower.items() if key[0] == "float32"})
    without = replace(THERE, has_bfloat16=False, device_name="old processor")
    assert propose(measurer(study, engine, without), plan_of(study).settings, runs=100).execution.precision == "float32"


def test_no_more_workers_than_are_faster_share_the_cores(study: StudyConfig) -> None:
    """As where memory's bandwidth bounds all of them: the total is the same, however the cores are divided."""
    full = {("float32", threads, workers): 100 / workers for threads in (1, 2, 4) for workers in (1, 2, 4)}
    there = replace(THERE, has_bfloat16=False)
    plan = propose(measurer(study, Scripted(full), there), plan_of(study).settings, runs=100)
    assert (plan.execution.threads, plan.workers, plan.measured) == (1, 1, True)
    assert resumed(measurer(study, Scripted({}), there), plan.execution, plan_of(study).settings, runs=100).workers == 1


@dataclass
class Busy(Scripted):
    """Beside other programs: whatever is measured takes a few times as long, by its own clock, and varies by noise.

    bfloat16 is four times as fast as float32, and the cores are used as well however they are divided.
    """

    seed: int = 0
    noise: float = 0.7
    now: float = 0.0
    told: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def clock(self) -> float:
        return self.now

    def tell(self, message: str) -> None:
        self.told.append((self.now, message))

    def speed(self, execution: Execution, workers: int) -> float:
        whole = 400.0 if execution.precision == "bfloat16" else 100.0
        return whole / workers / self.random.lognormvariate(1, self.noise)

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        if isinstance(question, FormsQuestion):
            self.now += question.limit
            return super().ask(question, workers)
        if isinstance(question, TogetherQuestion):
            found = [self.speed(question.run.execution, workers) for _ in range(workers)]
            self.now += question.seconds + 3 * 20 / min(found)
            return [Speed(((own,),), 0) for own in found]
        assert isinstance(question, SpeedQuestion)
        began, turns = self.now, list[list[float]]()
        while not turns or (self.now < began + question.limit and len(turns) < MOST_TURNS):
            turns.append([self.speed(run.execution, 1) for run in question.runs])
            self.now += sum(20 / own for own in turns[-1])
        return [Speed(tuple(zip(*turns, strict=True)), 0)]


@pytest.mark.parametrize(("fast", "noise"), [(True, 0.7), (False, 0.2)])
def test_a_busy_machine_is_measured_within_the_time_and_what_is_not_clear_is_as_it_is_likely(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch, fast: bool, noise: float
) -> None:
    monkeypatch.setattr("explorer.search.execution_plan.remember", lambda values: None)
    there = replace(THERE, fast_bfloat16=fast, has_kernels=True)
    for seed in range(20):
        engine = Busy({}, seed=seed, noise=noise)
        busy = replace(measurer(study, engine, there), tell=engine.tell, clock=engine.clock)
        plan = propose(busy, plan_of(study).settings, runs=100)
        assert plan.execution.precision == "bfloat16"
        assert plan.execution.norms == "fused"  # as it is likely, since nothing differs
        assert engine.told[0][0] == 0
        assert engine.now < 1.5 * measuring.MOST  # a turn, once begun, is finished
        times = [when for when, _ in engine.told] + [engine.now]
        assert max(later - earlier for earlier, later in pairwise(times)) < 1.5 * measuring.PAIR


@dataclass
class Fusing(Scripted):
    """Fused batch norms are so many times as fast as torch's."""

    gain: float = 1.0

    def turns(self, execution: Execution, workers: int) -> tuple[float, ...]:
        return (100 * (self.gain if execution.norms == "fused" else 1),) * 5


@pytest.mark.parametrize(
    ("device", "gain", "norms"),
    [
        ("cuda", 1.2, "fused"),
        ("cuda", 1.0, "torch"),
        ("cuda", 0.9, "torch"),
        ("cpu", 1.0, "fused"),
        ("cpu", 0.9, "torch"),
    ],
)
def test_a_gpus_kernels_are_taken_only_where_they_are_faster_and_a_processors_unless_they_are_slower(
    study: StudyConfig, device: str, gain: float, norms: str
) -> None:
    there = replace(THERE, device=device, has_bfloat16=False, has_kernels=True)
    plan = propose(measurer(study, Fusing({}, gain=gain), there), plan_of(study).settings, runs=100)
    assert plan.execution.norms == norms
    without = Fusing({}, gain=9.0)
    plan = propose(measurer(study, without, replace(there, has_kernels=False)), plan_of(study).settings, runs=100)
    assert plan.execution.norms == "torch"


def test_a_share_of_the_planned_time_is_measured_and_no_more(study: StudyConfig) -> None:
    engine, there = Busy({}, noise=0.0), replace(THERE, fast_bfloat16=True, images=(800, 0, 0))
    short = replace(study, recipe=replace(study.recipe, epochs=25))
    busy = replace(measurer(short, engine, there), clock=engine.clock)
    plan = propose(busy, plan_of(short).settings, runs=4)
    assert (plan.execution.precision, plan.workers, plan.measured) == ("bfloat16", 4, False)
    planned = 4 * 25 * 800 / engine.speed(plan.execution, 1)
    assert 0 < engine.now <= 0.01 * planned


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(("images", "runs"), [(40, 4), (8000, 10), (800_000, 100)])
def test_choosing_takes_no_longer_than_a_fiftieth_of_the_planned_time_or_five_seconds_on_any_device(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch, device: str, images: int, runs: int
) -> None:
    monkeypatch.setattr("explorer.search.execution_plan.remember", lambda values: None)
    there = replace(THERE, device=device, fast_bfloat16=True, images=(images, 0, 0), cores=16)
    own, settings = replace(study, recipe=replace(study.recipe, epochs=20)), plan_of(study).settings
    for seed in range(5):
        engine = Busy({}, seed=seed, noise=0.3)
        busy = replace(measurer(own, engine, there), clock=engine.clock)
        plan = propose(busy, settings, runs)
        with_convolutions(busy, plan.execution, settings, plan.workers)
        first = 20 * 20 / engine.speed(plan.execution, 1)  # what the first steps take is known only afterwards
        most = measuring.allowed(measuring.planned(busy, runs, plan.speed))
        assert most <= max(5.0, 0.02 * measuring.planned(busy, runs, plan.speed))
        # What has begun is finished: the first steps, or a window.
        assert engine.now <= most + first + measuring.WINDOW
        began = engine.now
        resumed(busy, plan.execution, settings, runs)
        assert engine.now - began <= most + first + measuring.WINDOW


def test_the_designs_of_a_search_share_the_time_for_their_convolutions(study: StudyConfig) -> None:
    search = replace(study.search, sampler="tpe", designs=10)
    settings = plan_of(study).settings
    engine = Scripted({})
    own = measurer(replace(study, search=search), engine)
    own.allowance.left = 8.0
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    with_convolutions(own, plain, settings[1:], 1)
    ((question, _),) = engine.asked
    assert isinstance(question, FormsQuestion)
    assert question.limit == pytest.approx(0.8)
    own.allowance.left = 0.0
    cache.cache_folder().joinpath("measured.json").unlink()
    chosen = with_convolutions(own, plain, settings, 1)
    assert len(engine.asked) == 1
    assert {choice.groups for choice in chosen.convolutions} == {shape.groups for shape in shapes_of(settings, study)}


def shapes_of(settings: tuple[Setting, ...], study: StudyConfig) -> set[GroupedConv]:
    return {shape for setting in settings for shape in grouped_convs(setting.architecture, study.data.task)}


def test_what_was_measured_is_remembered_for_other_studies(study: StudyConfig) -> None:
    engine = Scripted(FASTER_APART)
    first = propose(measurer(study, engine), plan_of(study).settings, runs=100)
    assert engine.asked
    again = Scripted({})
    assert propose(measurer(replace(study, name="other"), again), plan_of(study).settings, runs=100) == first
    assert again.asked == []


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', "not json"])
def test_a_damaged_memory_costs_only_the_measuring_again(study: StudyConfig, text: str) -> None:
    propose(measurer(study, Scripted(FASTER_APART)), plan_of(study).settings, runs=100)
    (cache.cache_folder() / "measured.json").write_text(text)
    engine = Scripted(FASTER_APART)
    assert propose(measurer(study, engine), plan_of(study).settings, runs=100).workers == 4
    assert engine.asked


def test_a_short_study_measures_no_more_than_it_is_worth(study: StudyConfig) -> None:
    short = replace(study, recipe=replace(study.recipe, epochs=1))
    engine = Scripted(FASTER_APART)
    plan = propose(measurer(short, engine, replace(THERE, images=(80, 40, 100))), plan_of(short).settings, runs=2)
    assert (plan.workers, plan.measured) == (2, False)
    assert [workers for _, workers in engine.asked] == [1]


def test_what_is_asked_for_is_taken_without_measuring(study: StudyConfig) -> None:
    given = replace(study.engine, workers=3, threads=2, precision="float32")
    engine = Scripted({})
    plan = propose(measurer(replace(study, engine=given), engine), plan_of(study).settings, runs=100)
    assert (plan.execution.precision, plan.execution.threads, plan.workers) == ("float32", 2, 3)
    assert engine.asked == []


def test_bfloat16_that_is_not_there_is_refused(study: StudyConfig) -> None:
    asked = replace(study, engine=replace(study.engine, precision="bfloat16"))
    with pytest.raises(
        InputError, match=r"^engine\.precision=bfloat16: some processor has none; allowed: auto, float32$"
    ):
        propose(measurer(asked, Scripted({}), replace(THERE, has_bfloat16=False)), plan_of(study).settings, runs=4)
    asked = replace(study, engine=replace(study.engine, precision="float16"))
    told = r"^engine\.precision=float16: some processor has none; allowed: auto, float32, bfloat16$"
    with pytest.raises(InputError, match=told):
        propose(measurer(asked, Scripted({})), plan_of(study).settings, runs=4)


def test_more_workers_than_the_memory_holds_are_refused_and_automatic_ones_are_fewer(study: StudyConfig) -> None:
    needed = memory_needed(
        plan_of(study).settings[1].cost, Execution("cpu", "", "grouped", "channels_last", "float32", 1, 20)
    )
    there = replace(THERE, memory=int(2.5 * needed))
    asked = replace(study, engine=replace(study.engine, workers=9, threads=1, precision="float32"))
    with pytest.raises(InputError) as refused:
        propose(measurer(asked, Scripted({}), there), plan_of(study).settings, runs=100)
    assert str(refused.value).startswith("engine.workers=9: each needs about 0.4 GiB and this machine has ")
    assert str(refused.value).endswith("allowed: up to 2, or a smaller recipe.micro_batch")
    assert propose(measurer(study, Scripted(FASTER_APART), there), plan_of(study).settings, runs=100).workers == 2


def test_memory_grows_with_maps_images_and_precision(study: StudyConfig) -> None:
    cost = plan_of(study).settings[1].cost
    execution = Execution("cpu", "", "grouped", "channels_last", "float32", 1, 64)
    whole = memory_needed(cost, execution)
    assert memory_needed(cost, replace(execution, precision="bfloat16")) < whole
    assert memory_needed(cost, replace(execution, micro_batch=128)) > whole


GPU = replace(THERE, device="cuda", device_name="some GPU")


OLD_GPU = replace(GPU, has_float16=True)  # without units for bfloat16, which torch offers there nevertheless


@pytest.mark.parametrize(("faster", "taken"), [(120.0, "float16"), (90.0, "float32")])
def test_float16_is_tried_where_a_gpu_has_no_units_for_bfloat16(study: StudyConfig, faster: float, taken: str) -> None:
    engine = Scripted({("float32", 1, 1): 100.0, ("float16", 1, 1): faster} | {(taken, 1, 2): 1.0})
    plan = propose(measurer(study, engine, OLD_GPU), plan_of(study).settings, runs=100)
    assert plan.execution.precision == taken
    new = Scripted({("float32", 1, 1): 50.0, ("bfloat16", 1, 1): 100.0, ("bfloat16", 1, 2): 1.0})
    there = replace(OLD_GPU, fast_bfloat16=True, device_name="newer GPU")
    assert propose(measurer(study, new, there), plan_of(study).settings, runs=100).execution.precision == "bfloat16"


@pytest.mark.parametrize(("faster", "layout", "norms"), [(1.2, "contiguous", "torch"), (1.0, "channels_last", "fused")])
def test_the_order_of_a_gpus_maps_is_measured_and_torchs_unless_the_other_is_faster(
    study: StudyConfig, faster: float, layout: str, norms: str
) -> None:
    class Ordered(Scripted):
        def turns(self, execution: Execution, workers: int) -> tuple[float, ...]:
            assert execution.layout == "channels_last" or execution.norms == "torch"
            speed = 110.0 if execution.norms == "fused" else 100.0
            return ((speed * faster if execution.layout == "contiguous" else speed) / workers,) * 5

    there = replace(GPU, has_kernels=True, fast_bfloat16=True)
    first = propose(measurer(study, Ordered({}), there), plan_of(study).settings, runs=100)
    assert (first.execution.layout, first.execution.norms) == (layout, norms)
    again = propose(measurer(study, Scripted({}), there), plan_of(study).settings, runs=100)  # remembered
    assert again.execution == first.execution
    native = replace(study, engine=replace(study.engine, forms="native"))
    found = propose(measurer(native, Ordered({}), there), plan_of(study).settings, runs=100).execution
    assert (found.layout, found.norms) == ("channels_last", "torch")


def test_kernels_that_are_not_deterministic_are_those_of_a_gpu_alone(study: StudyConfig) -> None:
    asked = replace(study, engine=replace(study.engine, deterministic=False, precision="float32", workers=1))
    engine = Scripted({("float32", 1, 1): 100.0})
    assert not propose(measurer(asked, engine, GPU), plan_of(study).settings, runs=1).execution.deterministic
    with pytest.raises(InputError) as refused:
        propose(measurer(asked, Scripted({})), plan_of(study).settings, runs=1)
    assert str(refused.value) == (
        "engine.deterministic=false: a GPU has faster kernels that are not, some processor has none; allowed: true"
    )


@pytest.mark.parametrize(
    ("totals", "peak", "workers"),
    [
        ({1: 100, 2: 190, 4: 300}, 2**30, 4),  # as many as there are cores
        ({1: 100, 2: 190, 4: 200}, 2**30, 2),  # no longer faster
        ({1: 100, 2: 190, 4: 300}, 5 * 2**30, 2),  # no more memory
        ({1: 100, 2: 105}, 2**30, 1),
    ],
)
def test_processes_share_a_gpu_as_long_as_they_are_faster_together(
    study: StudyConfig, totals: dict[int, float], peak: int, workers: int
) -> None:
    speeds = {("bfloat16", 1, count): total / count for count, total in totals.items()} | {("float32", 1, 1): 50.0}
    plan = propose(measurer(study, Scripted(speeds, peak), GPU), plan_of(study).settings, runs=100)
    assert (plan.execution.precision, plan.workers) == ("bfloat16", workers)


def test_no_more_workers_share_a_gpu_than_its_free_memory_holds_of_the_largest_design(study: StudyConfig) -> None:
    speeds = {("bfloat16", 1, count): 100.0 for count in (1, 2, 4)} | {("float32", 1, 1): 50.0}
    settings, own = plan_of(study).settings, Scripted(speeds, 2**30)
    assert propose(measurer(study, own, GPU), settings, runs=100).workers == 4
    plain = Execution("cuda", "some GPU", "grouped", "channels_last", "bfloat16", 1, 20)
    needed = max(memory_needed(setting.cost, plain) for setting in settings) + 2**28
    full = replace(GPU, memory=int(2.5 * needed), held=2**28)  # as beside other programs
    assert propose(measurer(study, own, full), settings, runs=100).workers == 2
    assert resumed(measurer(study, own, full), plain, settings, runs=100).workers == 2
    asked = replace(study, engine=replace(study.engine, workers=9))
    with pytest.raises(
        InputError, match=r"engine\.workers=9: each needs about 0\.8 GiB and the GPU has free 2; allowed"
    ):
        propose(measurer(asked, own, full), settings, runs=100)
    whole = Scripted(speeds, 2**30)
    large = replace(settings[-1], architecture=replace(settings[-1].architecture, width=4096))
    ratio = memory_needed(large.cost, plain) / memory_needed(settings[1].cost, plain)
    there = replace(GPU, memory=int(3 * (ratio + 0.5) * 2**30), device_name="another GPU")
    # Of the one that is measured sixteen would fit, of the largest two.
    assert ratio > 4
    assert propose(measurer(study, whole, there), (*settings, large), runs=100).workers == 2


def test_more_workers_are_tried_anew_where_mps_runs(study: StudyConfig) -> None:
    speeds = {("bfloat16", 1, count): 100.0 / count for count in (1, 2, 4)} | {("float32", 1, 1): 50.0}
    engine = Scripted(speeds)
    assert propose(measurer(study, engine, GPU), plan_of(study).settings, runs=100).workers == 1
    parallel = Scripted({**dict.fromkeys(speeds, 100.0), ("float32", 1, 1): 50.0})
    there = replace(GPU, versions={**GPU.versions, "mps": "on"})
    assert propose(measurer(study, parallel, there), plan_of(study).settings, runs=100).workers == 4


def test_a_settled_study_keeps_its_execution_and_chooses_its_workers_anew(study: StudyConfig) -> None:
    old = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 2, 20)
    engine = Scripted({})
    plan = resumed(measurer(study, engine), old, plan_of(study).settings, runs=100)
    assert (plan.execution, plan.workers) == (old, 2)
    assert engine.asked == []


def test_every_shape_of_every_setting_is_decided_once(study: StudyConfig) -> None:
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    settings = plan_of(study).settings
    shapes = shapes_of(settings, study)
    engine = Scripted({})
    chosen = with_convolutions(measurer(study, engine), plain, settings, 1)
    assert {choice.layer for choice in chosen.convolutions} == {shape.key for shape in shapes}
    ((question, _),) = engine.asked
    assert isinstance(question, FormsQuestion)
    # Each shape stands once in a bottleneck stage's first block; 8,000 images, 20 a step, 400 epochs, two seeds.
    assert {number for _, number in question.uses} == {400 * 400 * 2}
    (cache.cache_folder() / "measured.json").unlink()
    with_convolutions(measurer(study, engine), plain, settings, 4)
    assert {number for _, number in engine.asked.pop()[0].uses} == {400 * 400 * 2 / 4}  # type: ignore[union-attr]
    assert with_convolutions(measurer(study, engine), chosen, settings, 1) == chosen
    assert with_convolutions(measurer(study, engine), plain, settings, 1) == chosen
    assert len(engine.asked) == 1


def test_native_forms_ask_nothing(study: StudyConfig) -> None:
    plain = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    native = replace(study, engine=replace(study.engine, forms="native"))
    found = with_convolutions(measurer(native, Scripted({})), plain, plan_of(native).settings, 1)
    shapes = shapes_of(plan_of(native).settings, native)
    assert {(choice.layer, choice.groups, choice.layout) for choice in found.convolutions} == {
        (shape.key, shape.groups, "same") for shape in shapes
    }
    for setting in plan_of(native).settings:  # which is no other run
        assert own_execution(found, setting, native.data.task) == own_execution(plain, setting, native.data.task)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"micro_batch": 7}, "recipe.micro_batch=7: recipe.batch_size=20 is no multiple of it"),
        ({"shift": 9}, "recipe.shift=9: allowed is at most data.image_size, 8"),
        ({"cutout": 9}, "recipe.cutout=9: allowed is at most data.image_size, 8"),
        (
            {"momentum": 0.0, "nesterov": True},
            "recipe.momentum=0: recipe.nesterov=true needs a momentum; allowed with recipe.nesterov=false",
        ),
        ({"crop_area": (0.5, 0.1)}, "recipe.crop_area=[0.5, 0.1]: the first number must not exceed the second"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(tiny: StudyConfig, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as refused:
        plan_of(replace(tiny, recipe=replace(tiny.recipe, **changes)))
    assert str(refused.value) == problem
