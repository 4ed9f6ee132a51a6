"""One settings module per step of evaluation: a step's identity holds its own settings module and no other step's.

`scripts.evaluate.benchmarks.Benchmark` is an entry of `benchmarks:` in the configuration. Only scoring imports the
verifiers' settings.
"""
