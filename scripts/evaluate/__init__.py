"""Evaluation: generations kept raw, scored apart, one score file a model and benchmark."""
