"""Decides what to run next and how: Optuna's trials, the execution plan, and the coordinator that drives an engine."""
