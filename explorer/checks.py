"""What the verbs on designs find out: plain numbers, made where torch is known and told where it is not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Referee:
    """One way to count an architecture; `activations` is None for who does not count them."""

    name: str
    params: int
    macs: int
    activations: int | None = None


@dataclass(frozen=True)
class FormResult:
    """One equivalent form against form (c), in float64, and its time in float32.

    outputs, gradients  largest absolute difference in training mode
    trained             the same of all weights and running statistics after some SGD steps
    evaluated           the same of the outputs in evaluation mode after these steps
    forward, backward   median seconds of one batch
    """

    form: str
    params: int
    macs: int
    outputs: float
    gradients: float
    trained: float
    evaluated: float
    forward: float
    backward: float


@dataclass(frozen=True)
class Verification:
    """Every count of an architecture, and its forms; `no_forms` says why there are none."""

    name: str
    referees: list[Referee]
    forms: list[FormResult]
    no_forms: str
    steps: int
    batch_size: int
    device: str

    @property
    def agrees(self) -> bool:
        """Whether all referees say the same and all forms are the same function, to 1e-10."""
        counts = {(referee.params, referee.macs) for referee in self.referees}
        counts |= {(form.params, form.macs) for form in self.forms}
        worst = [max(form.outputs, form.gradients, form.trained, form.evaluated) for form in self.forms]
        return len(counts) == 1 and max(worst, default=0.0) <= 1e-10


@dataclass(frozen=True)
class CostSpeed:
    """Designs costed per second by one method; `disagreements` with the vectorised closed form."""

    method: str
    designs: int
    seconds: float
    disagreements: int

    @property
    def per_second(self) -> float:
        """Designs per second."""
        return self.designs / self.seconds


@dataclass(frozen=True)
class ScanSpeed:
    """All points of a space held to a budget of two measures; `peak_bytes` of memory were taken at most."""

    budget: str
    points: int
    feasible: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Exported:
    """Files written, and how far ONNX is from the network (None: not written)."""

    files: list[str]
    trained: bool
    onnx_difference: float | None = None
