"""Train a network: modules, data, the training loop, checkpoints, and measured cost."""
