"""Speed of the project's parts beside what one would otherwise use; `make bench`."""
