"""What stands beside the code for people and their tools agrees with the code."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import explorer

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version_under_its_licence_and_names_the_paper() -> None:
    cited = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= {*cited}  # without these the format holds it invalid
    found = (cited["title"], cited["version"], cited["license"])
    assert found == (PROJECT["name"], explorer.__version__, PROJECT["license"])
    (paper,) = cited["references"]
    assert paper["url"] == "https://arxiv.org/abs/1611.05431"
    assert [one["family-names"] for one in paper["authors"]] == ["Xie", "Girshick", "Dollár", "Tu", "He"]


def test_the_code_hosts_checks_are_those_of_home_on_every_version_that_is_declared() -> None:
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["make lint", "make test", "make docs"]
    at_home = re.findall(r"^make \w+$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(at_home) == sorted(commands)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{command.partition(' ')[2]}:", makefile, re.MULTILINE) for command in commands)
    declared = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", one)]
    assert job["strategy"]["matrix"]["python"] == declared
    assert f"TORCH_INDEX={job['env']['TORCH_INDEX']}`" in (ROOT / "README.md").read_text(encoding="utf-8")
