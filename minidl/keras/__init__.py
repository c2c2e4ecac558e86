"""The Keras dialect: Keras 3's names, defaults and numbers on minidl's engine."""

from minidl.keras import activations, constraints, datasets, initializers, layers, losses, regularizers, utils

__all__ = ["activations", "constraints", "datasets", "initializers", "layers", "losses", "regularizers", "utils"]
