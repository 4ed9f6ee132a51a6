"""Data sets: filter, select for diversity, mix the domains to an exact size."""
