"""What runs inside the sandbox: the standard library alone, loaded by an interpreter without site-packages.

`zygote` is started once, closes itself in (`isolate`), imports what programs usually import, and then forks for each
job: an untrusted process for the response's program (`program`), and for assert tests a trusted process for the tests
(`checker`). They talk over a socket in plain data (`wire`); the tests, and what they expect, never enter the program's
process.
"""
