"""Stages that need a replica: its store, its model, its catalogue and its budgets."""
