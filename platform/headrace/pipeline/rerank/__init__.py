"""Re-rankers: rules over a ranked list, one a file."""
