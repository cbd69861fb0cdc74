"""Features: one table of definitions, the aggregators behind it, and the rows they live in."""
