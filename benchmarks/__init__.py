"""Benchmarks of the project itself: speed, size and scale. Not part of the installed package."""
