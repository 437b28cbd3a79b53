"""From an architecture to a network: modules, first weights, forms, kernels, counts and files."""
