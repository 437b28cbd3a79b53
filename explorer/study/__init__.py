"""A study's question as frozen values, and what follows from it: settings, plan, runs and jobs."""
