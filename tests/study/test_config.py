import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.design import DesignSpace
from explorer.design.ranges import Range, whole_values
from explorer.host.errors import InputError
from explorer.record.starts import as_tree
from explorer.study.settings import Contrast, LimitConfig, StudyConfig
from explorer.study.tree import to_config
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import conf_folders, groups
from tests.conftest import TINY

STUDY = "study=equal_params"


def refusal(*arguments: str) -> str:
    with pytest.raises(InputError) as caught:
        read_command(list(arguments))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_shipped_study_composes_to_the_papers_five_cardinalities() -> None:
    config = read_command([STUDY]).study
    assert isinstance(config.space, DesignSpace)
    assert (config.name, config.space.cardinality, config.space.depth) == ("equal_params", (1, 2, 4, 8, 32), (29,))


@pytest.mark.real
def test_every_shipped_choice_of_every_group_composes() -> None:
    found = groups()
    assert len(found.pop("study")) > 10  # each of them is planned in tests/verbs/test_composition.py
    for group, choices in found.items():
        for choice in choices:
            own = ["data.path=photos"] if choice in ("hub", "parquet", "folder") else []
            own += ["storage.url=postgresql://me@server/explorer"] if choice == "postgres" else []
            assert read_command([STUDY, f"{group}={choice}", *own]).do == "run"


@pytest.mark.parametrize("source", ["hub", "parquet", "folder"])
def test_a_data_set_is_named_after_its_path(source: str) -> None:
    data = read_command([STUDY, f"data={source}", "data.path=people/photos_of_cats/"]).study.data
    assert (data.name, data.label) == ("photos_of_cats", "photos_of_cats")
    given = read_command([STUDY, f"data={source}", "data.path=x", "data.name=cats", "data.label=Cats"]).study.data
    assert (given.name, given.label) == ("cats", "Cats")
    with pytest.raises(InputError, match=r"data\.path is missing; say for example data\.path=photos"):
        read_command([STUDY, f"data={source}"])


def test_overrides_reach_any_key_and_single_numbers_become_lists() -> None:
    config = read_command([STUDY, "recipe.epochs=3", "space.cardinality=8", "name=mine"]).study
    assert isinstance(config.space, DesignSpace)
    assert (config.recipe.epochs, config.space.cardinality, config.name) == (3, (8,), "mine")


def test_a_stored_config_reads_back_to_the_same_settings() -> None:
    config = read_command(TINY).study
    assert to_config(as_tree(config), str) == replace(config, device="auto")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["study is missing", "equal_params"]),
        (["study=eqal_params"], ["study=eqal_params", "did you mean equal_params?", "allowed: "]),
        ([STUDY, "recipe.epohcs=3"], ["recipe.epohcs=3: unknown key (did you mean epochs?)", "allowed: augmentation"]),
        ([STUDY, "foo=3"], ["foo=3: unknown key", "allowed: budget"]),
        ([STUDY, "recipe.epochs=-3"], ["recipe.epochs=-3: must be greater than or equal to 1"]),
        ([STUDY, "recipe.epochs=abc"], ['recipe.epochs="abc": must be a whole number']),
        ([STUDY, "recipe.epochs=true"], ["recipe.epochs=true: must be a whole number"]),
        ([STUDY, "recipe.epochs=1.5"], ["recipe.epochs=1.5"]),
        ([STUDY, "recipe.batch_size=null"], ["recipe.batch_size=null: must be a whole number"]),
        ([STUDY, "recipe.learning_rate=0"], ["recipe.learning_rate=0: must be greater than 0"]),
        ([STUDY, "recipe.learning_rate=nan"], ["recipe.learning_rate"]),
        ([STUDY, "recipe.schedule=polynomial"], ["must be 'one_cycle', 'cosine', 'linear', 'constant' or 'step'"]),
        (
            [STUDY, "recipe.epochs.first=3"],
            ["recipe.epochs.first=3: recipe.epochs is one value", "say recipe.epochs=..."],
        ),
        (
            [STUDY, "recipe=foo"],
            ["recipe=foo: no such recipe", "allowed: a3_like, airbench_like, digits, digits_equal_norm"],
        ),
        ([STUDY, "recipe.epochs=1,2"], ["sweeps are not supported"]),
        ([STUDY, "-m"], ["-m: studies loop by themselves"]),
        (
            [STUDY, "do=fly"],
            ["do=fly: unknown verb; allowed: run, plan, challenge, report, tabulate, doctor, move, fork, "],
        ),
        ([STUDY, "device=tpu"], ["device=\"tpu\": must be 'auto', 'cpu' or 'cuda'"]),
        ([STUDY, "name=../x"], ["name='../x': allowed are"]),
        ([STUDY, "name=a/b"], ["name='a/b': allowed are"]),
        ([STUDY, f"name={'x' * 101}"], ["allowed are 1 to 100"]),
        ([STUDY, "~recipe.epochs"], ["~recipe.epochs: not allowed"]),
        ([STUDY, "hydra.run.dir=/tmp"], ["hydra.run.dir=/tmp: not allowed"]),
        ([STUDY, "space.cardinality=[1,x]"], ['space.cardinality.1="x": must be a whole number']),
        ([STUDY, "space.cardinality=[]"], ["space.cardinality is empty"]),
        ([STUDY, "space.depth=21"], ["space.depth 21 is not one of template cifar's: 9n+2"]),
        ([STUDY, "foo"], ["foo: cannot be read; expected key=value"]),
        ([STUDY, "name=a b(c)"], ["name='a b(c)': allowed are"]),
        ([STUDY, "engine.setup=[é]"], ["cannot be read", "quotes around text with é in it"]),
        ([STUDY, "name=Index"], ["reports/index.html lists all studies"]),
        ([STUDY, "engine.workers=x"], ['engine.workers="x"', "whole number or 'auto'"]),
        ([STUDY, "space.bottleneck_width=foo"], ["list of values or a range {low: ..., high: ...} or 'solve'"]),
        ([STUDY, "recipe.learning_rate=inf"], ["recipe.learning_rate"]),
        ([STUDY, "data.split_seed=99999999999"], ["data.split_seed=99999999999: must be less than"]),
        ([STUDY, "name=${nothing}"], ["nothing"]),
        ([STUDY, "recipe.crop_area=[0.1]"], ["recipe.crop_area=[0.1]: must be 2 values, as [...,...]"]),
        ([STUDY, "space.kind=[cube]"], ["space.kind=['cube']: unknown kind; allowed: family"]),
        ([STUDY, "space.kind=cube"], ["space.kind=cube: unknown kind; allowed: family, named, anynetx, regnetx"]),
        ([STUDY, "space.block=foo"], ["space.block 'foo' is unknown; allowed: bottleneck, preact, basic"]),
        (
            [STUDY, "space.block=basic", "space.depth=20"],
            ["space.cardinality 2 with block basic: a sum of C two-layer"],
        ),
        ([STUDY, "space.kernel_size=4"], ["space.kernel_size must be odd and at least 1, not 4"]),
        ([STUDY, "space.cardinality={low: 5, high: 2}"], ["space.cardinality: low 5, high 2", "low <= high"]),
        (
            [STUDY, "space.cardinality={low: 5, hihg: 2}"],
            ["space.cardinality.hihg=2: unknown key (did you mean high?)"],
        ),
        ([STUDY, "space.cardinality={low: 1}"], ["space.cardinality.high is missing"]),
        (
            [STUDY, "space.group_width=128", "space.cardinality=[1,3]"],
            ["cardinality 3 does not divide group_width 128"],
        ),
        ([STUDY, "space=neighbours", "space.architecture=[29-32x4d,foo]"], ["architecture 'foo': expected a name"]),
        ([STUDY, "space=neighbours", "space.architecture=[29-32x4d,29-32x4d-w256]"], ["are the same network"]),
        ([STUDY, "space=anynetx", "space.depth=0"], ["space.depth must be at least 1, not 0"]),
        ([STUDY, "space=anynetx", "space.shared=[width]", "space.rising=[width]"], ["both shared and rising"]),
        ([STUDY, "space=anynetx", "space.depht=1"], ["space.depht=1: unknown key (did you mean depth?)"]),
        ([STUDY, "space=anynetx", "space.template=alexnet"], ["template alexnet has no stages to vary"]),
        ([STUDY, "space=regnetx", "space.initial_width=[12]"], ["space.initial_width 12: must be a multiple of 8"]),
        ([STUDY, "space=regnetx", "space.multiplier=[1]"], ["space.multiplier must be above 1, not 1"]),
        ([STUDY, "budget.flops.tolerance=0.1"], ["budget.flops={'tolerance': 0.1}: unknown key"]),
        ([STUDY, "budget.params.tolerance=1"], ["budget.params.tolerance=1: must be less than 1"]),
        ([STUDY, "search=bayes"], ["search=bayes: no such search", "allowed: best, error_and_macs, gp, listed"]),
        (["do=verify", "architecture=29-32x4d", "steps=3"], ["steps=3: unknown key", "allowed: architecture"]),
        (["do=benchmark", "subject=speed"], ["subject=\"speed\": must be 'training' or 'latency'"]),
    ],
)
def test_bad_input_is_one_line_with_key_value_and_what_is_allowed(arguments: list[str], parts: list[str]) -> None:
    message = refusal(*arguments)
    for part in parts:
        assert part in message


def test_ranges_and_mappings_replace_what_a_group_lists() -> None:
    space = read_command([STUDY, "space.cardinality={low: 1, high: 64, factor: 2}"]).study.space
    assert isinstance(space, DesignSpace)
    assert space.cardinality == Range(1, 64, factor=2)
    assert whole_values("cardinality", space.cardinality) == (1, 2, 4, 8, 16, 32, 64)
    budget = read_command(
        [STUDY, "budget.macs.tolerance=0.03", "budget.params={target: 7, tolerance: 0.1}"]
    ).study.budget
    assert (budget.macs, budget.params) == (LimitConfig(0.03), LimitConfig(0.1, target=7))


def test_a_conf_folder_in_the_current_one_adds_studies(workplace: Path) -> None:
    shipped = conf_folders()[0] / "study" / "equal_params.yaml"
    (workplace / "conf" / "study").mkdir(parents=True)
    (workplace / "conf" / "study" / "mine.yaml").write_text(shipped.read_text().replace("32x4d", "8x14d"))
    assert read_command(["study=mine"]).study.study.contrast == Contrast("8x14d", "1x64d")


def test_a_misspelt_key_in_a_yaml_file_is_refused_naming_the_file(workplace: Path) -> None:
    shipped = conf_folders()[0] / "recipe" / "digits.yaml"
    (workplace / "conf" / "recipe").mkdir(parents=True)
    (workplace / "conf" / "recipe" / "typo.yaml").write_text(shipped.read_text().replace("epochs:", "epohcs:"))
    message = refusal(STUDY, "recipe=typo")
    assert "recipe.epohcs=7: unknown key (did you mean epochs?)" in message
    assert message.endswith(f"(in {workplace / 'conf' / 'recipe' / 'typo.yaml'})")


def test_a_missing_key_is_named_with_the_file_that_lacks_it(workplace: Path) -> None:
    shipped = conf_folders()[0] / "recipe" / "digits.yaml"
    (workplace / "conf" / "recipe").mkdir(parents=True)
    (workplace / "conf" / "recipe" / "partial.yaml").write_text(shipped.read_text().replace("epochs: 7\n", ""))
    assert (
        refusal(STUDY, "recipe=partial")
        == f"recipe.epochs is missing (in {Path('conf/recipe/partial.yaml').resolve()})"
    )


def test_a_file_that_is_not_yaml_is_refused(workplace: Path) -> None:
    (workplace / "conf" / "recipe").mkdir(parents=True)
    (workplace / "conf" / "recipe" / "broken.yaml").write_text("epochs: [1\nbatch: }")
    assert "a YAML file cannot be read" in refusal(STUDY, "recipe=broken")


# ---------------------------------------------------------------- any tree, any name

CONFIGS = [
    read_command([f"study={name}", *(["data=digits"] if name == "best" else [])]).study for name in groups()["study"]
]
TREES = [as_tree(config) for config in CONFIGS]
WORDS = ["kind", "low", "high", "factor", "auto", "solve", "29-32x4d", "1x64d", "error", "macs", "family", "", "\x1b\n"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """The settings of a shipped study of which something is other, more or gone."""
    tree = json.loads(json.dumps(draw(st.sampled_from(TREES))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([place for place in places(tree) if place]))
        node = tree
        for step in way:
            node = node[step]
        match draw(st.sampled_from(["change", "change", "add", "remove"])):
            case "change":
                node[last] = draw(VALUES)
            case "add" if isinstance(node, dict):
                node[draw(st.sampled_from([*WORDS, "epochs", "name", "space", "_target_"]))] = draw(VALUES)
            case _:
                del node[last]
    return tree


@settings(max_examples=300)
@given(trees())
def test_any_tree_is_a_study_or_one_clear_refusal(tree: Any) -> None:
    try:
        config = to_config(tree, lambda _: "")
    except InputError as error:
        assert str(error).strip()  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(config, StudyConfig)
        assert stored(config) == config


def stored(config: StudyConfig) -> StudyConfig:
    """A study's settings from the YAML that its folder keeps."""
    text = yaml.safe_dump(as_tree(config), sort_keys=False, allow_unicode=True)
    return to_config(yaml.safe_load(text), lambda _: "")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_shipped_study_reads_back_from_the_yaml_it_is_stored_as(config: StudyConfig) -> None:
    assert stored(config) == config


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("storage: {mirror: url, url: 'postgresql://me:secret@10.9.8.7/d'}", "storage.url=postgresql://me@10.9.8.7/d"),
        ("storage: {mirror: url, url: 'sqlite:////tmp/x'}", "storage.url=sqlite:////tmp/x"),
        ("engine: {address: '10.9.8.7:6379'}", "engine.address=10.9.8.7:6379"),
        ("do: doctor", "do=doctor"),
        ("'yes': true", "yes=True"),
        ("fork: true", "fork=True"),
        ("from: sqlite:///x", "from=sqlite:///x"),
    ],
)
def test_what_only_a_person_decides_is_taken_from_no_file_that_the_command_does_not_name(
    workplace: Path, line: str, key: str
) -> None:
    shipped = (conf_folders()[0] / "study" / "equal_params.yaml").read_text()
    (workplace / "conf" / "study").mkdir(parents=True)
    (workplace / "conf" / "study" / "theirs.yaml").write_text(f"{shipped}\n{line}\n")
    with pytest.raises(InputError) as refused:
        read_command(["study=theirs"])
    assert str(refused.value).startswith(f"{key}: a file")
    assert "may not decide this" in str(refused.value)


def test_a_database_is_that_of_the_command_or_of_the_file_it_names(workplace: Path) -> None:
    (workplace / "conf" / "storage").mkdir(parents=True)
    (workplace / "conf" / "storage" / "lab.yaml").write_text("mirror: url\nurl: sqlite:///lab.db\nweights: none\n")
    assert read_command(["study=equal_params", "storage=lab"]).study.storage.url == "sqlite:///lab.db"
    for words in (["study=equal_params"], ["name=x"]):
        doctor = [*words, "do=doctor"]
        assert read_command(doctor).database is None
        assert read_command([*doctor, "storage=lab"]).database == "sqlite:///lab.db"
        assert read_command([*doctor, "storage=postgres", "storage.url=sqlite:///a.db"]).database == "sqlite:///a.db"
    moved = read_command(["study=equal_params", "do=move", "storage=sqlite", "from=sqlite:///a.db"])
    assert moved.database == "sqlite:///a.db"
    with pytest.raises(InputError, match="allowed with move"):
        read_command(["study=equal_params", "from=sqlite:///a.db"])


@given(st.text(max_size=110) | st.from_regex(r"[A-Za-z0-9._-]{0,110}", fullmatch=True))
def test_any_name_is_one_folder_below_studies_or_refused(name: str) -> None:
    tree = TREES[0] | {"name": name}
    try:
        to_config(tree, lambda _: "")
    except InputError as error:
        assert str(error).startswith("name=")  # noqa: PT017 - either outcome is right
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert Path("studies", name).resolve().parent == Path("studies").resolve()
        assert name == name.strip(" .")
        assert name.isascii()
        assert len(name) <= 100
