"""Estimates of a job's cost before it has ever run: GPU time, CPU time and disk, from stated formulas.

Every figure is a number of tokens or documents times the cost of one. The cost of a token follows from the model's
shape, the GPU's peak and an assumed utilisation (`basis.Assumptions`, printed by `python -m scripts.workflow.plan`). An
estimate states its formula in `Cost.basis`. If the same job ran before, `scripts.workflow.plan` takes the measured time
instead.
"""
