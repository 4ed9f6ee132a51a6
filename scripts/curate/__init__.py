"""Curation: a chain of DataTrove steps over a pool, each keeping what it drops with the reason."""
