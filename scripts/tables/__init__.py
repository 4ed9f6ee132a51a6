"""Make cells, tables, figures and the report, from artifacts alone."""
