"""The verbs of the program (`run`, `plan`, ...), one file each, the command line and the Python interface."""
