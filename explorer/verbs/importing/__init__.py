"""Imports results of others: reads a file, finds its columns, names and units, and writes a study that is read only."""
