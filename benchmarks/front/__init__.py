"""What clients of the HTTP API get: under faults, overload, fuzz, and beside another platform."""
