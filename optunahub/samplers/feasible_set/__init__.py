"""Any sampler of Optuna, held to a list of designs: each is tried at most once, and nothing else is."""

from .sampler import ExhaustedError, FeasibleSetSampler

__all__ = ["ExhaustedError", "FeasibleSetSampler"]
