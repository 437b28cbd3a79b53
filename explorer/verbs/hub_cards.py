"""The cards of a study's parts on the Hugging Face hub: the blocks of YAML by which the hub lists them."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import yaml

from explorer.analysis.judging import OpenedStudy
from explorer.host.formatting import one_line
from explorer.search.note import note_of

if TYPE_CHECKING:
    from explorer.verbs.trained_run import TrainedRun

PAGE = "index.html"
TAGS = ["resnext-explorer", "neural-architecture-search", "resnext"]


def of_table(study: OpenedStudy, names: Collection[str], to: str, licence: str | None) -> str:
    """Before the card of a study's table: each of its parquet files is a part of the data set, the runs the first."""
    parts = [{"config_name": name, "data_files": f"{name}.parquet", **_first(name)} for name in names]
    return _block(
        licence,
        pretty_name=study.config.name,
        tags=[*TAGS, "benchmark"],
        task_categories=["image-classification"],
        configs=parts,
        models=[to],
    )


def _first(name: str) -> dict[str, bool]:
    return {"default": True} if name == "runs" else {}


def of_network(found: "TrainedRun", to: str, licence: str | None) -> str:
    """Before the card of an exported network: its results as the hub lists them, where it was tested."""
    row, label = found.row, one_line(found.study.config.data.label)
    results: list[dict[str, Any]] = []
    if row.test_error is not None:
        about = {"type": "image-classification", "name": "Image classification"}
        data = {"type": found.study.config.data.name, "name": label, "split": "test"}
        metrics = [{"type": "accuracy", "name": "Accuracy", "value": round(1 - row.test_error, 6)}]
        results = [{"task": about, "dataset": data, "metrics": metrics}]
    index = {"model-index": [{"name": found.title, "results": results}]} if results else {}
    return _block(
        licence,
        library_name="pytorch",
        pipeline_tag="image-classification",
        tags=TAGS,
        datasets=[to],
        metrics=["accuracy"],
        **index,
    )


def of_page(study: OpenedStudy, to: str, licence: str | None) -> str:
    """The card of a Space that shows a study's page."""
    about = {"title": study.config.name[:60], "sdk": "static", "app_file": PAGE, "pinned": False}
    return f"{_block(licence, **about, tags=TAGS, datasets=[to], models=[to])}{note_of(study, has_page=True)}\n"


def _block(licence: str | None, **keys: Any) -> str:
    """A block of YAML."""
    own = {**({"license": licence} if licence else {}), **keys}
    return f"---\n{yaml.safe_dump(own, sort_keys=False, allow_unicode=True)}---\n\n"
