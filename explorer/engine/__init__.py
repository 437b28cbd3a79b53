"""Where runs are executed: one contract, met by processes of this machine, Ray tasks and Slurm jobs."""
