"""State rows: encoded, merged over partitions, bounded, and carried over to a new table."""
