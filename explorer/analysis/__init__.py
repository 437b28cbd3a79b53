"""Statistics on records: what a study found, and how sure one can be."""
