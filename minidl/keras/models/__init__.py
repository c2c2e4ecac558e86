"""Models: a chain of layers, a graph of layers, or a class of one's own."""

from minidl.keras.models.model import Model
from minidl.keras.models.sequential import Sequential
