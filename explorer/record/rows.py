"""The row types of a study's tables; field names are the columns."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from explorer.design.cost_measures import COUNTED
from explorer.design.shape_axes import OWN
from explorer.study.designs import Setting
from explorer.study.run import Amount, Deviation, Epochs, Error, Outcome, Place, Run, Whole
from explorer.study.runs import rate_of
from explorer.study.settings import StudyConfig


@dataclass(frozen=True, slots=True)  # slots: a large study has a hundred thousand rows
class RunRecord:
    """One row of `runs.csv`; `docs/record.md` gives units and meaning of each column."""

    run: str
    status: str
    setting: str
    study: str
    data: str
    template: str
    depth: Whole
    width: Whole
    kernel_size: Whole
    cardinality: Whole
    bottleneck_width: Whole
    params: Whole
    macs: Whole
    fvcore_macs: Whole | None
    activations: Whole
    params_deviation: Deviation | None
    macs_deviation: Deviation | None
    seed: Place
    epochs: Epochs
    train_error: Error | None
    val_error: Error | None
    test_error: Error | None
    loss: Amount | None
    seconds: Amount
    images_per_second: Amount | None
    device: str
    classes: Annotated[int, Ge(2), Le(2**53)]
    finished: str
    message: str
    block: str = "bottleneck"
    shortcut: bool = True
    activations_deviation: Deviation | None = None
    space: str = ""
    rate: Annotated[float, Gt(0), Le(1e18)] = 1.0
    form: str = "grouped"
    latency: Amount | None = None
    latency_lower: Amount | None = None
    latency_upper: Amount | None = None
    start: Place = 0
    host: str = ""
    filter_layers: Place = 0
    stem: str = "plain"
    projection: str = "conv"
    attention: str = "none"
    scale: Whole = 1


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One row of `epochs.csv`: the results of one epoch of a run; None for what an imported file does not say."""

    run: str
    epoch: Epochs
    learning_rate: Annotated[float, Ge(0)] | None
    loss: Amount | None
    train_error: Error | None
    val_error: Error
    seconds: Amount | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of `decisions.csv`: one decision of a search.

    decision  "chosen": the design is trained; "continued", "stopped": the judgement at a rung
    epochs    of the rung; 0 for "chosen"
    error     mean error over seeds at the rung, by which it was judged: on validation images, or as `search.rung_error`
              says; None for "chosen"
    by        what chose the design: the sampler, or `BASELINE` for random designs that the search is compared with
    latency   median milliseconds of a forward pass, with the quartiles, measured when the design was chosen, if the
              search asks for it
    """

    setting: str
    decision: str
    epochs: Epochs
    error: Error | None
    by: str
    latency: Amount | None = None
    latency_lower: Amount | None = None
    latency_upper: Amount | None = None


@dataclass(frozen=True, slots=True)
class CorrectRecord:
    """One row of `correct.csv`: which test images a run classified correctly.

    `bits` is base64 of one bit per test image, most significant bit first, padded with zeros to a whole byte. A run
    whose result another program told without them has none.
    """

    run: str
    images: Annotated[int, Ge(0), Le(2**53)]
    bits: str


@dataclass(frozen=True, slots=True)
class LabelsRecord:
    """One row of `labels.csv`: the classes of the test images, in the order of the bits of `correct.csv`.

    seed    whose test images they are, where each seed has its own; None: those of every seed
    labels  numbers of the classes, in the order of the networks' outputs and from 0, with spaces between them
    """

    seed: Place | None
    images: Annotated[int, Ge(1), Le(2**53)]
    labels: str


@dataclass(frozen=True, slots=True)
class MeasureRecord:
    """One row of `measures.csv`: a design by a measure that an extension adds, be it trained or not.

    value  the number of a measure that follows from the design, or the median over the turns of one that is measured on
           a device, with its quartiles
    """

    setting: str
    measure: str
    value: Amount
    lower: Amount
    upper: Amount


@dataclass(frozen=True, slots=True)
class FilterRecord:
    """One row of `filters.csv`: a k x k convolution of a run; the fields are those of `explorer.study.run.Filters`."""

    run: str
    layer: str
    norm_start: Annotated[float, Ge(0)]
    norm_end: Annotated[float, Ge(0)]
    degrees: Annotated[float, Ge(0), Le(180)]


def record_of(
    config: StudyConfig,
    setting: Setting,
    run: Run,
    outcome: Outcome,
    *,
    fvcore_macs: int | None,
    finished: str,
    start: int,
) -> RunRecord:
    """The row of `runs.csv` for a run that ended; `start` is the index of the study's start that executed it."""
    latency = setting.latency
    own = {field.name for field in fields(RunRecord)}
    results: dict[str, Any] = {one.name: getattr(outcome, one.name) for one in fields(outcome) if one.name in own}
    shape: dict[str, Any] = {axis.name: axis.of(setting.architecture) for axis in OWN}
    costs: dict[str, Any] = {name: getattr(outcome.cost or setting.cost, name) for name in COUNTED}
    costs |= {f"{name}_deviation": setting.deviation(name, outcome.cost) for name in COUNTED}
    return RunRecord(
        run=run.id,
        setting=setting.name,
        study=config.name,
        data=config.data.name,
        fvcore_macs=fvcore_macs,
        **shape,
        **costs,
        seed=run.seed,
        device=run.execution.device_name,
        classes=config.data.classes,
        finished=finished,
        space="+".join(setting.spaces),
        rate=rate_of(config, run),
        form=setting.form,
        latency=latency.median if latency else None,
        latency_lower=latency.lower if latency else None,
        latency_upper=latency.upper if latency else None,
        start=start,
        filter_layers=len(outcome.filters),
        **results,
    )
