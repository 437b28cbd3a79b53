"""The question as frozen values, and all that follows from it: plan, runs, jobs."""
