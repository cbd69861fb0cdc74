"""Features: one table of definitions, the aggregators behind it, and the rows they live in."""

from headrace.feast_adapter import first_import as first_import
