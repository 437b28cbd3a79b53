"""This machine and the person at it: errors, formatting, signals, cache, atomic files, limits of YAML."""
