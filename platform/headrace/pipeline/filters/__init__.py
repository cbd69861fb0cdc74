"""Filters: rules that take candidates out before they are ranked, one a file."""
