"""Which network shape is best at a fixed compute budget? A design-space explorer for the ResNeXt family."""

__version__ = "0.1.0"
