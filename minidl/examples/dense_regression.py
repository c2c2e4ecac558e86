"""Document 001: a dense network learns to repeat its input, in Keras's dialect.

The document gives the network one output, but two targets a sample: (3, 1) against (3, 2). The output is compared with
both, silently in Keras, with a warning in minidl. The targets of a sample are a and a + 1, so the best that one number
p can do is to lie half-way, where the loss is ((p - a)^2 + (p - a - 1)^2) / 2 = (0.5^2 + 0.5^2) / 2 = 0.25. With two
outputs there is nothing to keep it from 0.
"""

import numpy as np

from minidl import keras
from minidl.examples.pictures import draw_regression
from minidl.examples.report import Report
from minidl.keras.layers import Dense

data = np.array([[1, 2], [3, 4], [5, 6]])

#: How many outputs, and what the loss comes to.
SETTINGS = {1: "0.25 +- 0.001", 2: "< 0.001"}


def run(report: Report, epochs: int = 1000, seed: int = 0) -> None:
    """Train the network with one output, as the document does, and with two."""
    answers = {}
    for outputs, goal in SETTINGS.items():
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [Dense(64, activation="relu", input_shape=(2,)), Dense(64, activation="relu"), Dense(outputs)]
        )
        model.compile(optimizer="adam", loss="mse")

        with report.training(goal, f"dense-regression-{outputs}.h5", f"Dense({outputs})") as log:
            log.history = model.fit(data, data, epochs=epochs, verbose=0)

        loss = model.evaluate(data, data)
        print(f"Loss: {loss:.4g}")
        log.result("loss", loss)

        model.save(log.file)
        answers[log.setting] = model.predict(data, verbose=0)
        log.loaded_back(answers[log.setting], keras.models.load_model(log.file).predict(data, verbose=0))
    report.picture((11, 4), lambda figure: draw_regression(figure, report.curves(), answers, data, floor=0.25))
