"""Aggregation: facts into accumulators, and accumulators into feature values."""
