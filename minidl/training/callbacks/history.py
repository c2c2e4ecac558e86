"""The history of a training: what each epoch's loss and metrics were."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.errors import StateError
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.progress import format_number, in_notebook

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History"]


class History(Callback):
    """Record the loss and the metrics of every epoch; ``fit`` returns one.

    Attributes
    ----------
    history : dict of str to list
        A value an epoch, by name: ``loss``, the metrics, and validation's under ``val_`` names.
    epoch : list of int
        The epochs that were trained; the first is 0.
    params : dict
        How training ran: ``verbose``, ``epochs``, ``steps``.
    interrupted : bool
        Whether Ctrl-C ended training.

    Examples
    --------
    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.75})
    >>> history.on_epoch_end(1, {"loss": 0.5})
    >>> history.history, history.epoch
    ({'loss': [0.75, 0.5]}, [0, 1])
    >>> history
    History of 2 epochs: loss 0.7500 -> 0.5000

    References
    ----------
    ``keras.callbacks.History``.
    """

    interrupted = False

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._epochs: dict[str, list[int]] = {}  # of each name: validation may skip epochs

    def __repr__(self) -> str:
        count = f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        curves = [
            f"{name} {format_number(float(values[0]))} -> {format_number(float(values[-1]))}"
            for name, values in self.history.items()
            if np.ndim(values[0]) == 0
        ]
        return f"History of {count}" + (": " + ", ".join(curves) if curves else "")

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew."""
        self.history, self.epoch, self._epochs = {}, [], {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record an epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded."""
        return {
            "history": {name: list(values) for name, values in self.history.items()},
            "epoch": list(self.epoch),
            "epochs": {name: list(epochs) for name, epochs in self._epochs.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was recorded."""
        self.history = {name: list(values) for name, values in state["history"].items()}
        self.epoch = list(state["epoch"])
        self._epochs = {name: list(epochs) for name, epochs in state["epochs"].items()}

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw a panel for the loss and for each metric, training and validation as two curves.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; its ending says in what format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing.
        StateError
            If no epoch was trained yet.

        Examples
        --------
        >>> history = History()
        >>> history.on_epoch_end(0, {"loss": 0.75, "val_loss": 0.8})
        >>> [axes.get_ylabel() for axes in history.plot().axes]
        ['loss']
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator

            if in_notebook():
                import matplotlib.pyplot  # noqa: F401 (which tells Jupyter how to show a figure)
        except ImportError as error:
            raise ImportError(
                'History.plot draws with matplotlib, which is not installed: pip install "minidl[viz]"'
            ) from error
        drawn = {name: values for name, values in self.history.items() if all(np.ndim(v) == 0 for v in values)}
        if not drawn:
            raise StateError("History.plot: nothing to draw: no epoch was trained yet; call fit first")
        panels = list(dict.fromkeys(name.removeprefix("val_") for name in drawn))
        columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
        rows = -(-len(panels) // columns)
        # Where pyplot is in use, plt.show() shows the figure; otherwise it opens no window and needs no display.
        pyplot = sys.modules.get("matplotlib.pyplot")
        new_figure = Figure if pyplot is None or in_notebook() else pyplot.figure
        figure = new_figure(figsize=(1.2 + 4.0 * columns, 0.4 + 3.0 * rows), layout="constrained")
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1)
            for name, label, colour in ((panel, "training", "C0"), (f"val_{panel}", "validation", "C1")):
                if name in drawn:
                    x = [epoch + 1 for epoch in self._epochs[name]]
                    few = len(x) <= 20  # few enough to mark each
                    axes.plot(x, drawn[name], label=label, color=colour, marker="o" if few else "", ms=4)
                    axes.margins(x=0.05 if few else 0.0)
            axes.set_xlabel("epoch")
            axes.set_ylabel(panel)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
            if panel != "learning_rate":  # which is nobody's result
                axes.legend()
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure
