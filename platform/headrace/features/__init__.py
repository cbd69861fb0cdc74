"""Features: one table of definitions, the aggregators behind it, and the rows they live in."""

from headrace.features import before_feast as before_feast
