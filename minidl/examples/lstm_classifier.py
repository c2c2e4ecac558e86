"""Document 000, section 4.2: an LSTM reads handwritten digits row by row, in Keras's dialect.

The document leaves open what the sequences are. Here each is an image: 28 steps of 28 pixels, top to bottom.
"""

from minidl import keras
from minidl.examples.report import Report
from minidl.keras.layers import LSTM, Dense, Dropout
from minidl.keras.models import Sequential, load_model
from minidl.keras.utils import to_categorical


def run(report: Report, epochs: int = 10, seed: int = 0) -> None:
    """Train the network, and report how well it reads digits that it has not seen."""
    keras.utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    x_train, x_test = x_train / 255, x_test / 255  # (N, 28, 28): samples, steps, pixels
    one_hot_train, one_hot_test = to_categorical(y_train, 10), to_categorical(y_test, 10)  # (N, 10)

    model = Sequential()
    model.add(LSTM(128, input_shape=(28, 28)))  # (N, 128), the last step's
    model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])

    with report.training(">= 0.94", "lstm-classifier.h5") as log:
        unseen = (x_test, one_hot_test)
        log.history = model.fit(x_train, one_hot_train, epochs=epochs, batch_size=32, validation_data=unseen)

    loss, accuracy = model.evaluate(x_test, one_hot_test)
    print(f"Loss: {loss:.4f}")
    print(f"Accuracy: {accuracy:.4f}")
    log.result("accuracy", accuracy)

    model.save(log.file)
    predictions = model.predict(x_test, verbose=0)
    log.loaded_back(predictions, load_model(log.file).predict(x_test, verbose=0))
    report.digits(predictions, x_test, y_test)
