"""Child processes: started, found, owned, and ended with all that they started."""
