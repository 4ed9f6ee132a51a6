"""Apptainer images, one an environment, each installing exactly `envs/<environment>.txt`."""
