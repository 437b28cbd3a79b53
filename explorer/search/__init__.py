"""What to run next, and on what: Optuna's trials, the engines that execute runs, and the coordinator between them."""
