"""Data sets: records filtered, selected for diversity, and mixed from the domains to an exact size."""
