"""What one can do: one file for each verb, the command line and the Python interface."""
