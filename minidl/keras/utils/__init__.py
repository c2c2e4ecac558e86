"""Helpers under Keras's names."""

from minidl.keras.utils.numpy_utils import normalize, pad_sequences, set_random_seed, to_categorical

__all__ = ["normalize", "pad_sequences", "set_random_seed", "to_categorical"]
