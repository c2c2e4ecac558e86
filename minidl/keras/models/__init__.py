"""Models: a chain of layers, a graph of layers, or a class of one's own."""

from minidl.keras.models.cloning import clone_model, model_from_config, model_from_json
from minidl.keras.models.model import Model
from minidl.keras.models.sequential import Sequential
from minidl.keras.saving import load_model, save_model
