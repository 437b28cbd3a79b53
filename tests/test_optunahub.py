"""The packages for OptunaHub, loaded as OptunaHub loads them, do what their pages promise."""

import importlib.util
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest
import yaml
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from optunahub import load_local_module

FOLDER = Path(__file__).parents[1] / "optunahub"
PACKAGES = sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.glob("*/*/README.md"))
DESIGNS = [
    {"width": width, "rate": width * 0.01, "kind": kind, "one": 3} for width in (1, 2, 4, 8, 16) for kind in ("a", "b")
]
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def package(name: str) -> ModuleType:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return load_local_module(name, registry_root=str(FOLDER))


def best(design: dict[str, Any]) -> float:
    return float(abs(design["width"] - 4) + (design["kind"] == "b"))


@pytest.mark.parametrize(
    "inner",
    [
        lambda: None,
        lambda: RandomSampler(seed=0),
        lambda: TPESampler(seed=0, n_startup_trials=2),
        lambda: optuna.samplers.NSGAIISampler(population_size=4, seed=0),
    ],
    ids=["default", "random", "tpe", "nsga2"],
)
def test_every_design_is_tried_once_and_nothing_else(inner: Any) -> None:
    sampler: BaseSampler = package("samplers/feasible_set").FeasibleSetSampler([*DESIGNS, DESIGNS[0]], inner())
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: best(sampler.suggest(trial)), n_trials=50)  # type: ignore[attr-defined]
    tried = [trial.params for trial in study.trials]
    assert len(tried) == len(DESIGNS) == 10  # it ended by itself
    assert sorted(map(str, tried)) == sorted(map(str, DESIGNS))
    assert study.best_params == {"width": 4, "rate": 0.04, "kind": "a", "one": 3}


@pytest.mark.real
def test_a_study_that_goes_on_or_is_shared_repeats_nothing(tmp_path: Path) -> None:
    module, storage = package("samplers/feasible_set"), f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=storage, study_name="one").enqueue_trial(DESIGNS[7])
    asked = []
    for _ in range(2):  # two processes, whose trials are open at the same time
        sampler = module.FeasibleSetSampler(DESIGNS)
        study = optuna.load_study(study_name="one", storage=storage, sampler=sampler)
        asked += [study.ask(sampler.search_space) for _ in range(5)]
    assert asked[0].params == DESIGNS[7]
    assert sorted(str(trial.params) for trial in asked) == sorted(map(str, DESIGNS))
    with pytest.raises(module.ExhaustedError, match="all 10 designs"):
        study.ask(sampler.search_space)
    study._storage.remove_session()


def test_the_proposals_of_the_sampler_inside_decide() -> None:
    module = package("samplers/feasible_set")
    designs = [{"x": x, "y": y} for x in range(30) for y in range(30) if (x + y) % 3 == 0]

    def found(sampler: BaseSampler | None) -> float:
        held = module.FeasibleSetSampler(designs, sampler)
        study = optuna.create_study(sampler=held)
        study.optimize(lambda trial: _bowl(held.suggest(trial)), n_trials=60)
        return sum(trial.value or 0.0 for trial in study.trials[30:])

    guided = found(TPESampler(seed=0, multivariate=True))
    assert guided < found(RandomSampler(seed=0)) / 2


def _bowl(design: dict[str, Any]) -> float:
    return float((design["x"] - 20) ** 2 + (design["y"] - 7) ** 2)


def test_a_list_that_is_none_is_refused() -> None:
    module = package("samplers/feasible_set")
    with pytest.raises(ValueError, match="is empty"):
        module.FeasibleSetSampler([])
    with pytest.raises(ValueError, match="other parameters than a"):
        module.FeasibleSetSampler([{"a": 1}, {"b": 1}])


def test_the_table_is_the_record_and_is_searched_by_the_sampler() -> None:
    spec = importlib.util.spec_from_file_location("make_table", FOLDER / "make_table.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.table() == script.TABLE.read_text(encoding="utf-8")
    problem = package("benchmarks/resnext_equal_params").Problem()
    sampler = package("samplers/feasible_set").FeasibleSetSampler(problem.designs, TPESampler(seed=1))
    assert sampler.search_space == problem.search_space
    study = optuna.create_study(sampler=sampler, directions=problem.directions)
    study.optimize(problem, n_trials=200)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * len(problem.designs)
    assert study.best_value == min(problem.evaluate(design) for design in problem.designs)
    assert 0 < problem.test_error(study.best_params) < 1


def test_objectives_are_those_that_are_asked_for_and_a_design_outside_has_none() -> None:
    module = package("benchmarks/resnext_equal_params")
    problem = module.Problem(["val_error", "macs"])
    error, macs = problem.evaluate(problem.designs[0])
    assert (error, macs) == (module.Problem().evaluate(problem.designs[0]), 26193312)
    assert len(problem.directions) == 2
    assert all(math.isnan(one) for one in problem.evaluate({**problem.designs[0], "width": 1}))
    with pytest.raises(ValueError, match="allowed: val_error, params, macs, seconds"):
        module.Problem(["test_error"])


@pytest.mark.parametrize("name", PACKAGES)
def test_a_page_is_in_the_form_of_the_registry_and_its_example_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert {*head} == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert name.split("/")[0].removesuffix("s") in head["tags"]
    assert all(isinstance(one, str) for one in (*head["tags"], *head["optuna_versions"]))
    assert optuna.__version__ in head["optuna_versions"]
    monkeypatch.setattr("optunahub.load_module", package)
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, {})
    if (script := FOLDER / name / "example.py").exists():
        exec(script.read_text(encoding="utf-8"), {})
