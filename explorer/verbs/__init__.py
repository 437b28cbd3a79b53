"""The verbs of the program (`do=run`, `do=plan`, ...), one file each, the command line and the Python interface."""
