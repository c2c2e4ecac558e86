"""Document 003: a dense network reads handwritten digits, in Keras's dialect.

The document hands symbolic tensors, which ``Input`` and called layers return, to ``Sequential``. Keras 3 refuses them:
a Sequential takes layers. To minidl the tensors form a chain, and the layers of that chain are the model.
"""

from minidl import keras
from minidl.examples.report import Report
from minidl.keras.layers import Dense, Input
from minidl.keras.models import Sequential, load_model
from minidl.keras.utils import to_categorical


def run(report: Report, epochs: int = 10, seed: int = 0) -> None:
    """Train the network, and report how well it reads digits that it has not seen."""
    keras.utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    x_train, x_test = x_train.reshape(-1, 784) / 255, x_test.reshape(-1, 784) / 255
    one_hot_train, one_hot_test = to_categorical(y_train, 10), to_categorical(y_test, 10)  # (N, 10)

    input_layer = Input(shape=(784,))
    hidden_layer = Dense(128, activation="relu")(input_layer)
    output_layer = Dense(10, activation="softmax")(hidden_layer)
    model = Sequential([input_layer, hidden_layer, output_layer])
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])

    with report.training(">= 0.93", "dense-classifier.h5") as log:
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
