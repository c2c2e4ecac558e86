"""The Keras dialect: Keras 3's names, defaults and numbers on minidl's engine."""

from minidl.keras import activations, constraints, initializers, losses, regularizers

__all__ = ["activations", "constraints", "initializers", "losses", "regularizers"]
