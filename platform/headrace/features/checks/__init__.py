"""Checks of features: drift against a reference, and parity of two paths."""
