"""Benchmarks of the project's parts against the usual alternatives; run by `make bench`."""
