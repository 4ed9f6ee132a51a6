"""Training with TRL: pretrain, SFT, GRPO, on-policy distillation with one teacher or one a domain."""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every trainer it builds; read at its import
