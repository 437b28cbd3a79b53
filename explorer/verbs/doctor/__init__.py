"""Reads a study's folder, says in plain words what is there and what is wrong with it, and repairs what can be."""
