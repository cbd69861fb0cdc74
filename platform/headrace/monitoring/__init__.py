"""Monitoring: status, progress and health of the parts, as documents and metrics."""
