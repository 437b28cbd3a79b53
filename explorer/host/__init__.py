"""Services of the local machine: errors, number formats, signals, cache, atomic file writes, limits on files."""
