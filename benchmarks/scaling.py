"""How the cost of a training step grows with the batch, the width and the length.

The time of one sample, of one hidden unit, of one step of the sequence must not rise.
"""

from __future__ import annotations

from benchmarks.rows import Row, both
from benchmarks.steps import cnn_002, dense_003, lstm_000, training_side

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
WIDTHS = (32, 128, 512, 2048)
LENGTHS = (8, 32, 128, 512)


def rows() -> list[Row]:
    """Return a row for each point of each curve."""
    made = []
    for name, said, network in (("002-cnn", "`002` CNN", cnn_002), ("003-dense", "`003` dense", dense_003)):
        for batch in BATCHES:
            curve = f"{said}, time a sample by batch", batch
            sides = both(training_side, network, batch)
            made.append(Row(f"{name}-batch-{batch}", f"{said}, batch {batch}: a sample", sides, series=curve))
    for width in WIDTHS:
        curve = "`003` dense, time a unit by width", width
        sides = both(training_side, dense_003, 32, width)
        made.append(Row(f"003-dense-width-{width}", f"`003` dense 784-{width}-10: a unit", sides, series=curve))
    for steps in LENGTHS:
        curve = "`000` LSTM, time a step of the sequence by length", steps
        sides = both(training_side, lstm_000, 32, steps)
        made.append(Row(f"000-lstm-length-{steps}", f"`000` LSTM, T={steps}: a step of T", sides, series=curve))
    return made


ROWS = rows()
