"""Build networks from architectures: modules, initial weights, forms, kernels, counts and files."""
