"""Apptainer images, one per environment; each installs exactly `envs/<environment>.txt`."""
