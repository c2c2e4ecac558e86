"""PyDataset: batches by number."""

from __future__ import annotations

from typing import Any

from minidl.keras.serialization import builtin

__all__ = ["PyDataset"]


@builtin("keras.utils")
class PyDataset:
    """Batches that have numbers; a subclass says how many there are, and makes each when it is asked for.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        Taken for Keras's sake: batches are made one after the other. Use a ``minidl.data.DataLoader`` for workers.

    Examples
    --------
    >>> import numpy as np
    >>> from minidl import keras
    >>> class Squares(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 10
    ...
    ...     def __getitem__(self, index):
    ...         x = np.full((4, 1), index / 10)
    ...         return x, x**2
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> len(model.fit(Squares(), epochs=2, verbose=0).history["loss"])
    2

    References
    ----------
    ``keras.utils.PyDataset``.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__; return the number of batches in it")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__; return the batch (x, y) number `index`")

    @property
    def num_batches(self) -> int:
        """The number of batches in an epoch."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
