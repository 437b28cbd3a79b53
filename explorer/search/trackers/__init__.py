"""Optional mirrors of a study in experiment trackers: MLflow, Weights & Biases, TensorBoard.

A tracker is written from the record by a process of its own, decides nothing, and can be written anew at any time:
`content` says what of a study a tracker shows, each `to_*` writes it to one tracker, and `process` keeps trackers up to
date while a study runs.
"""
