"""Feast behind one adapter; importing it prepares the first import of Feast."""

from headrace.feast_adapter import first_import as first_import
