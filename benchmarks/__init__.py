"""Measurements: each a ratio against a baseline of the same run, or a report of a whole run."""
