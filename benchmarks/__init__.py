"""How long minidl takes, beside PyTorch: ``python -m benchmarks``."""
