"""Data sets under Keras's names: those that come with minidl."""

from minidl.keras.datasets import mnist

__all__ = ["mnist"]
