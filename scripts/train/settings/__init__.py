"""Settings of training, one module per kind of model, so that a change of one kind's settings retrains no other kind.

`models.py` joins them for the configuration; a step imports its own kind's module alone.
"""
