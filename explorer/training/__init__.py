"""From an architecture to a trained network: modules, data, the training loop and measured cost."""
