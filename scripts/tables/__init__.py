"""Cells, tables, figures and the report, generated from artifacts alone."""
