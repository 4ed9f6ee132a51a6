"""The steps of the pipeline: one package a stage, run as `python -m scripts.<stage>.<step>`."""
