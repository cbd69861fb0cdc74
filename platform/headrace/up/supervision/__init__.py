"""Supervision: processes and symptoms watched, and what died started again."""
