"""Whatever an Optuna sampler proposes, only feasible designs are tried, and each of them once."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from explorer.design import Architecture, short_name
from explorer.host.errors import InputError
from explorer.search.sampler import ExhaustedError, FeasibleSampler, sampler_name
from explorer.search.trials import Trials, open_search
from explorer.study.designs import Setting
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.extend import extend
from tests.conftest import TINY, broadly
from tests.search.test_trials import record

SAMPLERS = ("random", "tpe", "nsga2", "qmc", "gp")
# Numbers, a logarithmic axis, and labels of both kinds; 27 of its designs meet the budget.
SPACE = [
    "study.contrast=null",
    "space.depth=[11,20]",
    "space.width=[16,32]",
    "space.cardinality={low: 1, high: 16}",
    "space.bottleneck_width={low: 1, high: 6}",
    "space.block=[bottleneck,preact]",
    "space.shortcut=[true,false]",
    "budget.reference=11-4x3d-w16",
    "budget.params.tolerance=0.15",
]


def searching(sampler: str, designs: int, *, few: bool = False) -> StudyConfig:
    chosen = [f"search={sampler}", f"search.designs={designs}", "search.seeds=1", *["space.block=[preact]"] * few]
    return read_command([*TINY, *SPACE, *chosen]).study


def opened(config: StudyConfig) -> Trials:
    return open_search(plan_of(config))


def error_of(architecture: Architecture) -> float:
    """A landscape with one valley: shallow networks of six paths."""
    assert isinstance(architecture.cardinality, int)
    return 0.1 + 0.02 * abs(architecture.cardinality - 6) + 0.1 * (architecture.depth > 11)


def searched(config: StudyConfig, trials: Trials, most: int) -> list[Setting]:
    """Ask and tell until so many are known or none is left."""
    found: list[Setting] = []
    seeds = plan_of(config).seeds
    while len(found) < most and (setting := trials.ask()):
        found.append(setting)
        for seed in range(seeds):
            trials.add(record(setting.name, seed, error_of(setting.architecture)))
    return found


@pytest.mark.parametrize("sampler", broadly(SAMPLERS, fast=SAMPLERS.index("gp")))
def test_every_feasible_design_comes_once_and_no_other(sampler: str) -> None:
    config = searching(sampler, 8, few=sampler == "gp")  # a Gaussian process takes its time
    pool = plan_of(config).draws.candidates(plan_of(config).scope)
    feasible = {short_name(pool.architecture(place)) for place in range(len(pool))}
    trials = opened(config)
    found = searched(config, trials, 1000)
    assert len(feasible) == len(pool) > 10
    assert sorted(setting.name for setting in found) == sorted(feasible)
    assert all(abs(setting.deviation("params") or 0) <= 0.15 for setting in found)
    assert trials.ask() is None
    told = [trial for trial in trials.frozen() if trial.state == TrialState.COMPLETE]
    assert len(told) == len(pool)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_trial_holds_the_values_of_the_design_that_is_trained(sampler: str) -> None:
    trials = opened(searching(sampler, 8))
    for _ in range(8):
        setting = trials.ask()
        assert setting is not None
        values = trials.frozen()[-1].params
        for axis in ("depth", "width", "cardinality", "bottleneck_width", "block", "shortcut"):
            assert values[axis] == getattr(setting.architecture, axis)


@pytest.mark.parametrize("sampler", broadly(SAMPLERS, fast=SAMPLERS.index("gp")))
@pytest.mark.parametrize("told", broadly([7, 1, 14]))
def test_a_search_that_starts_again_goes_on_as_it_would_have(sampler: str, told: int) -> None:
    config = searching(sampler, 16)
    undisturbed = searched(config, opened(config), 16)
    later = opened(config)
    for setting in undisturbed[:told]:
        later.again(setting)
        later.add(record(setting.name, 0, error_of(setting.architecture)))
    values = [trial.value for trial in later.frozen()]
    assert values == pytest.approx([error_of(setting.architecture) for setting in undisturbed[:told]])
    assert searched(config, later, 16 - told) == undisturbed[told:]
    assert len({setting.name for setting in undisturbed}) == 16


@pytest.mark.parametrize("kind", ["CmaEsSampler(seed=seed, popsize=4)", "TPESampler(seed=seed)", "Counting()"])
def test_a_sampler_from_outside_goes_on_as_it_would_have(kind: str, tmp_path: Path) -> None:
    extend(written(tmp_path, f"lambda seed: {kind}"))
    config = searching("tpe", 16)
    config = replace(config, search=replace(config.search, sampler="mine"))
    undisturbed = searched(config, opened(config), 16)
    later = opened(config)
    for setting in undisturbed[:7]:
        later.again(setting)
        later.add(record(setting.name, 0, error_of(setting.architecture)))
    assert searched(config, later, 9) == undisturbed[7:]
    assert len({setting.name for setting in undisturbed}) == 16
    assert {trial.user_attrs["chosen_by"] for trial in later.frozen()} == {"mine"}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("lambda seed: 7", r"make\(seed\) gives a int; allowed: an optuna.samplers.BaseSampler"),
        ("lambda seed: 1 / 0", r"mine.py line \d+: ZeroDivisionError: division by zero"),
        ("lambda: RandomSampler()", r"TypeError: .*takes 0 positional arguments but 1 was given"),
        ("lambda seed: Counting(fails=True)", r"mine.py line \d+: RuntimeError: no more"),
        ("lambda seed: Counting(value=math.nan)", "proposes .*nan.*, which are no numbers of the space"),
        ("lambda seed: Counting(value='many')", "ValueError: could not convert string to float"),
    ],
)
def test_a_sampler_from_outside_that_goes_wrong_is_named_in_one_line(make: str, why: str, tmp_path: Path) -> None:
    extend(written(tmp_path, make))
    config = searching("tpe", 16)
    config = replace(config, search=replace(config.search, sampler="mine"))
    with pytest.raises(InputError, match=f"^search.sampler=mine: {why}") as caught:
        opened(config).ask()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("adds", "why"),
    [
        ("{'mine': RandomSampler}", "SAMPLERS: mine: is a ABCMeta; allowed: explorer.Sampler(...)"),
        ("{'mine': ex.Sampler(RandomSampler())}", "SAMPLERS: mine: make is a RandomSampler; allowed: a function"),
        ("{'tpe': ex.Sampler(RandomSampler)}", "SAMPLERS: tpe: is a sampler already; allowed: another name than"),
    ],
)
def test_what_is_no_sampler_is_refused_when_it_is_loaded(adds: str, why: str, tmp_path: Path) -> None:
    path = written(tmp_path, "RandomSampler")
    path.write_text(path.read_text().replace("SAMPLERS = ", f"SAMPLERS = {adds}\nunused = "))
    with pytest.raises(InputError, match=re.escape(why)):
        extend(path)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        ("lambda seed: Counting()", "Counting (mine.py)"),
        ("lambda seed: CmaEsSampler(seed=seed)", f"optuna.samplers.CmaEsSampler (optuna {optuna.__version__})"),
    ],
)
def test_a_sampler_from_outside_is_known_by_class_package_and_version(make: str, name: str, tmp_path: Path) -> None:
    extend(written(tmp_path, make))
    assert sampler_name("mine", 0) == name
    assert sampler_name("tpe", 0) == ""


def written(folder: Path, make: str) -> Path:
    """An extension with the sampler `mine`; one of its kinds has a state of its own, which no trial holds."""
    path = folder / "mine.py"
    path.write_text(EXTENSION + f'SAMPLERS = {{"mine": ex.Sampler({make})}}\n')
    return path


EXTENSION = """import math
import explorer as ex
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler

class Counting(BaseSampler):
    def __init__(self, fails=False, value=0):
        self.asked, self.told, self.fails, self.value = 0, 0.0, fails, value

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, space):
        self.asked += 1
        self.told = 0.5 * self.told
        if self.fails:
            raise RuntimeError("no more")
        return {}

    def after_trial(self, study, trial, state, values):
        self.told += 100 * values[0]

    def sample_independent(self, study, trial, name, axis):
        if hasattr(axis, "choices"):
            return axis.choices[(self.asked + int(self.told)) % len(axis.choices)]
        if self.value != 0:
            return self.value
        return axis.low + (self.asked * int(7 * self.told)) % (1 + axis.high - axis.low)

"""


def test_the_same_seed_proposes_the_same_designs_and_another_does_not() -> None:
    config = searching("tpe", 8)
    other = replace(config, search=replace(config.search, sampler_seed=1))
    first, again, changed = (
        [setting.name for setting in searched(one, opened(one), 8)] for one in (config, config, other)
    )
    assert first == again != changed


@pytest.mark.real
def test_a_sampler_that_learns_does_better_than_chance() -> None:
    large = ["space.cardinality={low: 1, high: 64}", "space.bottleneck_width={low: 1, high: 24}"]
    large += ["space.block=[bottleneck]", "space.depth=[11,20,29,38]", "budget.params.tolerance=0.5"]

    def mean_error(sampler: str) -> float:
        """Over four searches, of designs 11 to 40: the first ten of each are drawn blindly."""
        errors: list[float] = []
        for seed in range(4):
            chosen = [f"search={sampler}", "search.designs=40", f"search.sampler_seed={seed}"]
            config = read_command([*TINY, *SPACE, *large, *chosen]).study
            found = searched(config, opened(config), 40)
            errors += [error_of(setting.architecture) for setting in found[10:]]
        return float(np.mean(errors))

    assert mean_error("tpe") < 0.85 * mean_error("random")


def test_a_design_that_is_no_longer_in_the_space_is_refused() -> None:
    config = searching("tpe", 8)
    (setting,) = searched(config, opened(config), 1)
    foreign = replace(setting, architecture=replace(setting.architecture, width=64))
    with pytest.raises(InputError, match=r"the record holds .*, which is not among the designs this study draws from"):
        opened(config).again(foreign)


def test_designs_drawn_at_random_come_first_and_the_chosen_ones_are_numbered_after_them() -> None:
    config = searching("random", 8)
    drawn = tuple(searched(config, opened(config), 2))
    trials = open_search(plan_of(config), drawn)
    chosen = [trials.ask() for _ in range(3)]
    trials.add(record(str(chosen[1] and chosen[1].name), 0, 0.25))
    first, second = trials.frozen(), trials.frozen()
    assert [trial.number for trial in first] == [0, 1, 2, 3, 4]
    names = [setting.name for setting in (*drawn, *chosen) if setting]
    assert [trial.user_attrs["setting"] for trial in first] == names
    assert len(set(names)) == 5
    assert (first[3].state, first[3].value) == (TrialState.COMPLETE, 0.25)
    assert [one is other for one, other in zip(first, second, strict=True)] == [False, False, False, True, False]
    assert [trial.number for trial in trials.study.get_trials(deepcopy=False)] == [0, 1, 2]


class Fixed(BaseSampler):
    """Proposes the same values for ever."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    def infer_relative_search_space(self, *_: object) -> dict[str, optuna.distributions.BaseDistribution]:
        return {}

    def sample_relative(self, *_: object) -> dict[str, object]:
        return {}

    def sample_independent(self, study: object, trial: object, name: str, distribution: object) -> object:
        return self._values[name]


def test_a_proposal_goes_to_the_nearest_free_design() -> None:
    plan = plan_of(searching("random", 4))
    pool = plan.draws.candidates(plan.scope)
    wanted = pool.architecture(7)
    values = {axis: getattr(wanted, axis) for axis in pool.parameters}
    sampler = FeasibleSampler(lambda number: Fixed(values), pool)
    study = optuna.create_study(sampler=sampler)
    numbers = [study.ask(sampler.distributions).number for _ in range(len(pool))]
    found = [sampler.architecture(number) for number in numbers]
    assert found[0] == wanted
    assert len(set(found)) == len(pool)
    ranks = {axis: np.unique(column) for axis, column in pool.parameters.items() if column.dtype != object}
    labels = [axis for axis in pool.parameters if axis not in ranks]

    def distance(design: Architecture) -> float:
        total = float(sum(getattr(design, axis) != getattr(wanted, axis) for axis in labels))
        for axis, known in ranks.items():
            steps = np.searchsorted(known, getattr(design, axis)) - np.searchsorted(known, getattr(wanted, axis))
            total += float(steps / max(len(known) - 1, 1)) ** 2
        return total

    distances = [distance(design) for design in found]
    assert distances == sorted(distances)
    with pytest.raises(ExhaustedError):
        study.ask(sampler.distributions)


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_free_design_is_taken(seed: int) -> None:
    sampler = opened(searching("random", 5)).sampler
    assert sampler is not None
    rng = np.random.default_rng(seed)
    taken = rng.choice(len(sampler.pool), 12, replace=False)
    for place in taken:
        sampler.reserve(int(place))
    wanted = sampler.at(int(rng.integers(len(sampler.pool))))
    distance = ((sampler._ranks.coordinates - sampler._ranks.of(wanted)) ** 2).sum(axis=1)
    distance[taken] = np.inf
    assert distance[sampler._nearest(wanted)] == distance.min() < np.inf


def test_a_sequence_varies_what_is_no_number_too() -> None:
    trials = opened(searching("qmc", 12))
    found = [one.architecture for _ in range(12) if (one := trials.ask())]
    assert {(one.block, one.shortcut) for one in found} > {("preact", True), ("preact", False)}
    trials = opened(searching("qmc", 12))
    again = [one.architecture for _ in range(12) if (one := trials.ask())]
    assert again == found
