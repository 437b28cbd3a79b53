"""A study's files on disk: its record, its configuration, and what may differ between its starts."""
