"""The documents' examples: each trains what its document describes, on data that comes with the package."""

from minidl.examples import simple_cnn
from minidl.examples.report import Example

#: Every example by the name that ``minidl reproduce`` takes.
EXAMPLES: dict[str, Example] = {
    "simple-cnn": Example("document 000, 4.1: a convolutional network reads handwritten digits", simple_cnn.run),
}
