"""The documents' examples: each trains what its document describes, on data that comes with the package."""

from minidl.examples import cnn_classifier, dense_classifier, dense_regression, lstm_classifier, service, simple_cnn
from minidl.examples.report import Example

#: Every example by the name that ``minidl reproduce`` takes.
EXAMPLES: dict[str, Example] = {
    "simple-cnn": Example(
        "000 4.1", "a small convolutional network reads digits, in PyTorch's dialect", simple_cnn.run
    ),
    "lstm-classifier": Example("000 4.2", "an LSTM reads digits row by row", lstm_classifier.run),
    "dense-regression": Example(
        "001", "a dense network repeats its input, or tries to", dense_regression.run, 1000, 1000
    ),
    "cnn-classifier": Example("002", "a convolutional network reads digits", cnn_classifier.run),
    "dense-classifier": Example("003", "a dense network reads digits", dense_classifier.run, quick=3),
    "service": Example("004", "a network behind an API, and a client that asks it", service.run, needs=service.NEEDS),
}
