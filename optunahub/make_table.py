"""Makes the table of the benchmark `resnext_equal_params` from the recorded study: `python optunahub/make_table.py`."""

from pathlib import Path

from explorer import open_study

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "design_space_cifar10_jpeg"
TABLE = Path(__file__).parent / "benchmarks" / "resnext_equal_params" / "table.csv"
AXES = ["depth", "width", "cardinality", "bottleneck_width"]
COLUMNS = [*AXES, "params", "macs", "val_error", "test_error", "seconds", "setting"]


def table() -> str:
    """The table as CSV: a line for each design, the means over its runs that came through."""
    runs = open_study(STUDY).runs
    by_design = runs[runs["status"] == "ok"].groupby([*AXES, "params", "macs", "setting"], as_index=False)
    means = by_design[["val_error", "test_error", "seconds"]].mean().round({"seconds": 3})
    return str(means.sort_values(AXES)[COLUMNS].to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
