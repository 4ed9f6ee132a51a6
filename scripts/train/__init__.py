"""Training with TRL: pretrain, SFT, GRPO, on-policy distillation with one teacher or one a domain."""
