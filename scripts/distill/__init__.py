"""Response distillation, cross-verification and difficulty grading."""
