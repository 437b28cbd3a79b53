"""128 trained networks of equal numbers of parameters, as a benchmark that is looked up."""

from .problem import Problem

__all__ = ["Problem"]
