"""One settings module per step of distillation: a step's identity holds its own settings module and no other step's.

`cross_verify.ResponseSet` is an entry of `responses:` in the configuration, `scripts.distill.graded_sets.GradedSet` one
of `graded:`. Only the steps that verify import the verifiers' settings.
"""

ORIGINAL = "original"
"""Stands for a teacher's name where the response is the source's own."""
