"""Twelve designs of which no product exceeds a budget: each is tried at most once."""

import optuna

import optunahub

designs = [
    {"width": width, "paths": paths, "kind": kind}
    for width in (8, 16, 32, 64)
    for paths in (1, 2, 4)
    for kind in ("a", "b")
    if 64 <= width * paths <= 128
]
sampler = optunahub.load_module("samplers/feasible_set").FeasibleSetSampler(designs)
study = optuna.create_study(sampler=sampler)


def objective(trial: optuna.Trial) -> float:
    """Lowest with wide designs of two paths."""
    design = sampler.suggest(trial)
    return abs(design["paths"] - 2) + 1 / design["width"] + (design["kind"] == "b")


study.optimize(objective, n_trials=8)
print(study.best_params)
