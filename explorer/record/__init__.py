"""What is on disk of a study, and what may differ between its starts."""
