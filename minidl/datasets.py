"""Data sets: another name of :mod:`minidl.data.datasets`."""

from minidl.data.datasets import blobs, circles, iris, mnist, moons, spirals

__all__ = ["blobs", "circles", "iris", "mnist", "moons", "spirals"]
