"""Training in float16: the loss is multiplied by a scale, so that small gradients do not vanish in its narrow range.

A step whose gradients are not finite is skipped and halves the scale; 2,000 others in a row double it. All of this is
tensors on the device, so that nothing waits for it and a graph can hold a whole step.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

FIRST_SCALE = 2.0**16
GROWTH, BACKOFF, INTERVAL = 2.0, 0.5, 2000
LEAST_SCALE = 1.0  # of less, gradients are too large for float16 without any scale


@torch.no_grad()
def clip(weights: Iterable[nn.Parameter], most: float) -> None:
    """Shorten all gradients to a norm of `most` together, if theirs is greater. Nothing waits for the device."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (most / (norm + 1e-6)).clamp(max=1.0))


class Scaled(torch.optim.Optimizer):
    """An optimiser that takes its steps on the gradients of a loss that was multiplied by `scale`.

    scale    of the loss of the next step
    grown    steps taken since the scale was last changed
    skipped  steps whose gradients were not finite, which changed nothing but the scale
    clip     largest norm of all gradients together; None: any
    """

    scale: Tensor
    grown: Tensor
    skipped: Tensor
    clip: float | None = None

    def _begin(self) -> None:
        self._all = [weight for group in self.param_groups for weight in group["params"]]
        device = self._all[0].device
        self.scale = torch.full((), FIRST_SCALE, device=device)
        self.grown = torch.zeros((), dtype=torch.int32, device=device)
        self.skipped = torch.zeros((), device=device)
        self.found_inf = torch.zeros((), device=device)  # read by SGD itself

    def _unscale(self) -> None:
        """Divide all gradients by the scale, and see whether they are finite."""
        gradients = [weight.grad for weight in self._all if weight.grad is not None]
        self.found_inf.zero_()
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, self.found_inf, self.scale.reciprocal())
        if self.clip is not None:
            clip(self._all, self.clip)

    def _adapt(self) -> None:
        """Change the scale after a step."""
        self.skipped += self.found_inf
        torch._amp_update_scale_(self.scale, self.grown, self.found_inf, GROWTH, BACKOFF, INTERVAL)

    @property
    def scaling(self) -> dict[str, Tensor]:
        """What the next step depends on beside weights and momentum, by name."""
        return {"scaling.scale": self.scale, "scaling.grown": self.grown, "scaling.skipped": self.skipped}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over an earlier `scaling`, in the same places of memory."""
        for name, own in self.scaling.items():
            own.copy_(tensors[name])


class ScaledSGD(torch.optim.SGD, Scaled):
    """Stochastic gradient descent; a graph can hold its steps."""

    def __init__(self, weights: Iterable[nn.Parameter], **settings: Any) -> None:
        super().__init__(weights, **settings)
        self._begin()
        for group in self.param_groups:
            for weight in group["params"] if group["momentum"] else ():
                # If the very first step is skipped, torch's own momentum would be whatever the memory held.
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # one that computes the loss has no place here
        """Divide all gradients by the scale; take the step if they are finite; change the scale."""
        assert closure is None
        self._unscale()
        super().step()
        self._adapt()


class ScaledAdamW(torch.optim.AdamW, Scaled):
    """Adam with decoupled weight decay; a graph can hold its steps."""

    def __init__(self, weights: Iterable[nn.Parameter], **settings: Any) -> None:
        super().__init__(weights, **settings)
        self._begin()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # as above
        """Divide all gradients by the scale; take the step if they are finite; change the scale."""
        assert closure is None
        self._unscale()
        super().step()
        self._adapt()


class ScaledOther(Scaled):
    """Any other optimiser. Whether to take a step waits for the device."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.inner = inner
        self._begin()

    # Its own `load_state_dict` may put others in their places.
    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Those of the inner optimiser."""
        return self.inner.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        """That of the inner optimiser."""
        return self.inner.state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        self.inner.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # as above
        """Divide all gradients by the scale; take the step if they are finite; change the scale."""
        assert closure is None
        self._unscale()
        if not self.found_inf:
            with torch.enable_grad():
                self.inner.step()
        self._adapt()
