"""Results of the verbs on designs as plain values, so that they can be shown where torch is not loaded."""

from dataclasses import asdict, dataclass

from explorer.study.run import Execution


@dataclass(frozen=True)
class Referee:
    """The counts of an architecture by one counting method; `activations` is None if it does not count them."""

    name: str
    params: int
    macs: int
    activations: int | None = None


@dataclass(frozen=True)
class Distances:
    """Differences between two networks: the largest one of each kind, relative to the largest value of that kind.

    outputs, gradients  in training mode
    trained             all weights and running statistics, after some SGD steps
    evaluated           outputs in evaluation mode, after these steps
    """

    outputs: float
    gradients: float
    trained: float
    evaluated: float


@dataclass(frozen=True)
class FormResult:
    """One equivalent form: its distance from form (c) in float64, and median seconds of one batch in float32."""

    form: str
    params: int
    macs: int
    apart: Distances
    forward: float
    backward: float


ALLOWED = 100  # times the effect of rounding each weight once; forms sum paths in another order in every block
VAGUE = 1e-2  # if rounding alone causes a larger difference, it could hide a real one


@dataclass(frozen=True)
class Verification:
    """All counts of an architecture, and its forms compared; `no_forms` says why there are none.

    `rounding` is the distance of form (c) from itself with every weight changed by one unit in the last place: how far
    this network amplifies rounding. It is None if there are no forms.
    """

    name: str
    referees: list[Referee]
    forms: list[FormResult]
    rounding: Distances | None
    no_forms: str
    steps: int
    batch_size: int
    device: str

    @property
    def agrees(self) -> bool:
        """Whether all counts are equal, and all forms equal within the effect of rounding.

        A fixed tolerance would not do: how much a network amplifies rounding depends on its depth and on the number of
        values that its batch norms see.
        """
        counts = {(referee.params, referee.macs) for referee in self.referees}
        counts |= {(form.params, form.macs) for form in self.forms}
        return len(counts) == 1 and all(self._is_rounding(form.apart) for form in self.forms)

    @property
    def vague(self) -> list[str]:
        """The kinds of distance for which rounding has so large an effect that it could hide a defect."""
        found = {} if self.rounding is None else asdict(self.rounding)
        return [kind for kind, distance in found.items() if not ALLOWED * distance <= VAGUE]

    def _is_rounding(self, apart: Distances) -> bool:
        assert self.rounding is not None
        allowed = asdict(self.rounding)
        # A NaN is not within any limit.
        return all(distance <= ALLOWED * allowed[kind] for kind, distance in asdict(apart).items())


@dataclass(frozen=True)
class Exported:
    """The files written, and the largest difference between ONNX and the network (None: not written)."""

    files: list[str]
    trained: bool
    onnx_difference: float | None = None


@dataclass(frozen=True)
class Limits:
    """The limits of a device: operations per second of a large matrix product, bytes per second of a large copy.

    `float16` is zero where the device has no units for it.
    """

    device: str
    cores: int
    float32: float
    bfloat16: float
    bandwidth: float
    float16: float = 0.0


@dataclass(frozen=True)
class TrainingSpeed:
    """Images per second of a network's training steps, ours and the reference's, the median of several turns.

    native    original number of groups of each grouped convolution, to show which are executed in another form
    accesses  to each convolution's output values in a step, from which the memory limit is computed
    memory    peak bytes of our steps, measured alone; None if the system does not report it. `reference_memory` and
              `channels_last_memory` are those of the reference in either memory order
    choosing  seconds that choosing precision and forms took
    """

    name: str
    batch_size: int
    execution: Execution
    native: dict[str, int]
    macs: int
    activations: int
    accesses: int
    ours: float
    reference: float
    channels_last: float
    memory: int | None
    reference_memory: int | None
    channels_last_memory: int | None
    choosing: float

    @property
    def speedup(self) -> float:
        """Speed of our loop divided by that of the reference."""
        return self.ours / self.reference

    def share_of_peak(self, limits: Limits) -> float:
        """Operations per second as a fraction of the device's limit; a backward pass counts as two forward ones."""
        peaks = {"float32": limits.float32, "bfloat16": limits.bfloat16, "float16": limits.float16}
        return 6 * self.macs * self.ours / peaks[self.execution.precision]

    def share_of_bandwidth(self, limits: Limits) -> float:
        """Bytes per second of the maps' accesses as a fraction of the device's limit."""
        size = 4 if self.execution.precision == "float32" else 2
        return self.accesses * self.activations * size * self.ours / limits.bandwidth


@dataclass(frozen=True)
class Figure:
    """A target: its description, the measured value, and whether it is reached; None: undecided."""

    what: str
    found: str
    passed: bool | None


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass of a batch: quartiles over several passes."""

    name: str
    batch_size: int
    precision: str
    device: str
    lower: float
    median: float
    upper: float
    passes: int


@dataclass(frozen=True)
class Together:
    """Images per second of a small network alone on a device, and of several runs of it at once."""

    name: str
    alone: float
    workers: int
    together: float


def training_figures(
    found: list[TrainingSpeed], best: TrainingSpeed, limits: Limits, together: Together | None, *, gpu: bool
) -> list[Figure]:
    """The targets of the benchmark, passed or failed. Other networks are compared with the first one.

    Ratios are of speeds at one batch size. `best` is the first network at the one at which it is fastest, by which its
    share of a GPU's limits is judged.
    """
    has_bfloat16 = any(speed.execution.precision == "bfloat16" for speed in found)
    figures = []
    for speed in found:
        # A GPU's reference multiplies in TF32: half as fast as bfloat16, as a float32 processor is a fourth.
        least = 3.0 if gpu else 1.5 if not has_bfloat16 else 3.5 if speed is found[0] else 5.0
        what = f"{speed.name}: at least {least:g}x the reference loop"
        figures.append(Figure(what, f"{speed.speedup:.2f}x", speed.speedup >= least))
    slowest = found[0].ours / found[-1].ours
    what = f"{found[-1].name}: at most 1.15x the time per image of {found[0].name}"
    figures.append(Figure(what, f"{slowest:.2f}x", slowest <= 1.15))
    if gpu:
        memory, peak = best.share_of_bandwidth(limits), best.share_of_peak(limits)
        what = f"{best.name}, batch {best.batch_size}: at least 70 % of the memory's limit or 20 % of the peak"
        figures.append(Figure(what, f"{memory:.0%} and {peak:.0%}", memory >= 0.7 or peak >= 0.2))
    if together is not None and gpu:
        gain = together.together / together.alone
        figures.append(
            Figure(f"{together.workers} small runs at once: at least 2x one after another", f"{gain:.2f}x", gain >= 2)
        )
    return figures
