"""Evaluation: raw generations are kept, and scored by a step of their own; one score file per model and benchmark."""
