"""How long minidl takes, beside PyTorch, Keras on JAX and JAX: ``python -m benchmarks``.

Read ``steps.py`` first: what is measured. ``harness.py`` tells how, ``report.py`` what is made of it.
"""
