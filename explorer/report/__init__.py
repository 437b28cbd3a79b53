"""Presents a record and its finding: tables on the terminal, figures and pages."""
