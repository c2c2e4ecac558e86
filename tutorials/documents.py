# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Five articles, their programs, and what is wrong with them
#
# minidl was written to reproduce five articles about serving large models, called document 000 to 004 here. Each has a
# listing or two. None of them runs as printed: something is not defined, or sizes do not fit, or, worst of all, it
# *does* run and learns the wrong thing. This page goes through all of them: what the listing does, what is wrong with
# it, what minidl says about it, and how it looks when it is right.
#
# You can run it from top to bottom (`python tutorials/documents.py`) or cell by cell in a notebook. To be quick, it
# trains for a few epochs on a part of the digits; `minidl reproduce` does the same in full.

# %%
import json
import tempfile
import textwrap
import warnings
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np

import minidl
import minidl.nn.functional as F
from minidl import keras, nn, optim
from minidl.data import DataLoader, TensorDataset
from minidl.examples.pictures import draw_mistakes
from minidl.keras.layers import LSTM, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from minidl.keras.models import Sequential

EPOCHS, DIGITS = 5, 2000

keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train[:DIGITS] / 255, x_test[:DIGITS] / 255  # (N, 28, 28)
y_train, y_test = y_train[:DIGITS], y_test[:DIGITS]
print("training:", x_train.shape, "unseen:", x_test.shape)

# %% [markdown]
# Several cells below do something wrong on purpose. This little helper prints what minidl has to say about it, and goes
# on.


# %%
@contextmanager
def listening():
    """Print the warnings of a block, each once, and its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
            said = []
        except minidl.errors.MiniDLError as error:
            said = [error]
    said = [warning.message for warning in caught] + said
    for text in dict.fromkeys(f"{type(one).__name__}: {one}" for one in said):
        print(textwrap.fill(text, 100))


# %% [markdown]
# ## Document 000, section 4.1: a convolutional network, in PyTorch's dialect
#
# Two convolutions with their poolings, three dense layers, trained by a loop written by hand. The listing uses `F`
# without importing it, and a `train_loader` that nothing makes; Python says so itself. What Python cannot see is that
# `16 * 5 * 5` is the size that an image of 32x32 leaves behind after the poolings, and that MNIST's digits are 28x28.


# %%
class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


model = SimpleCNN()
with listening():
    model(minidl.zeros(32, 1, 28, 28))

# %% [markdown]
# The message names the layer by its name in the model, both sizes, and what to do. The simplest cure is a border of two
# pixels around each digit.
#
# The second fault is quieter. `nll_loss` takes the logarithms of probabilities, which are never positive; the network
# returns raw scores. Nothing fails, but the "loss" has no lower end: training just makes the scores larger and larger.

# %%
images = minidl.tensor(np.pad(x_train, ((0, 0), (2, 2), (2, 2)))[:, None], dtype="float32")  # (N, 1, 32, 32)
labels = minidl.tensor(y_train, dtype="int64")
astray = SimpleCNN()
optimizer = optim.SGD(astray.parameters(), lr=0.01, momentum=0.9)
with listening():
    for step in range(40):
        optimizer.zero_grad()
        loss = F.nll_loss(astray(images[:32]), labels[:32])
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"step {step + 1}: loss {loss.item():.4g}")

# %% [markdown]
# With `log_softmax` in between, it is the document's training: stochastic gradient descent, step by step.

# %%
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(EPOCHS):
    losses = []
    for data, target in DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(data), dim=1), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}")

# %% [markdown]
# (The document's own `SGD(lr=0.01)` needs all the 8,000 digits and ten epochs before it gets anywhere. Larger steps
# that carry momentum are quicker.)
#
# ## Document 000, section 4.2: an LSTM, in Keras's dialect
#
# `LSTM(128)`, `Dropout(0.2)`, a `Dense` with softmax. The listing leaves `timesteps`, `input_dim`, `output_dim` and the
# data open, so let us read a digit as a sequence: 28 rows of 28 pixels, from top to bottom.

# %%
model = Sequential()
model.add(LSTM(128, input_shape=(28, 28)))
model.add(Dropout(0.2))
model.add(Dense(10, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.summary()

# %% [markdown]
# `categorical_crossentropy` wants one column a class. Give it MNIST's labels as they are, and minidl recognises what
# you have in your hands:

# %%
with listening():
    model.fit(x_train, y_train, epochs=1, batch_size=32, verbose=0)

# %%
one_hot = keras.utils.to_categorical(y_train, 10)
history = model.fit(x_train, one_hot, epochs=EPOCHS, batch_size=32, verbose=2)

# %% [markdown]
# ## Document 001: one output for two targets
#
# The most instructive of the five, because it runs. Three samples of two numbers are to be repeated by the network, so
# inputs and targets are the same array. But the last layer is `Dense(1)`.

# %%
import minidl as tf  # the document has `import tensorflow as tf`: this line is all that changes

data = np.array([[1, 2], [3, 4], [5, 6]])


def network(outputs):
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Dense(64, activation="relu", input_shape=(2,)),
            tf.keras.layers.Dense(64, activation="relu"),
            tf.keras.layers.Dense(outputs),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    return model


one = network(1)
with listening():
    history = one.fit(data, data, epochs=1000, verbose=0)

# %% [markdown]
# Predictions of shape (3, 1) are stretched to the targets' (3, 2): the one output is compared with both targets. Keras
# does that silently. The targets of a sample are $a$ and $a + 1$; the best that a single number can do is to lie
# half-way between them, and then the loss is
#
# $$\frac{(\frac12)^2 + (\frac12)^2}{2} = \frac14.$$
#
# No training can get below it. With two outputs there is no such floor:

# %%
two = network(2)
second = two.fit(data, data, epochs=1000, verbose=0)
print(f"one output:  loss {history.history['loss'][-1]:.4f}, answers", one.predict(data, verbose=0).round(2).tolist())
print(f"two outputs: loss {second.history['loss'][-1]:.4f}, answers", two.predict(data, verbose=0).round(2).tolist())

# %%
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.semilogy(history.history["loss"], label="one output, as in the document")
axes.semilogy(second.history["loss"], label="two outputs")
axes.axhline(0.25, color="black", linestyle=":", label="0.25")
axes.set(xlabel="epoch", ylabel="loss")
_ = axes.legend(frameon=False)

# %% [markdown]
# ## Document 002: a convolutional network, in Keras's dialect
#
# The listing is right; it only says nothing about its data. In Keras's layout an image has its channels last,
# (28, 28, 1), and forgetting that last axis is the usual mistake with MNIST.

# %%
model = Sequential()
model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
model.add(MaxPooling2D((2, 2)))
model.add(Conv2D(64, (3, 3), activation="relu"))
model.add(MaxPooling2D((2, 2)))
model.add(Flatten())
model.add(Dense(64, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
with listening():
    model.fit(x_train, y_train, verbose=0)

# %%
unseen = (x_test[..., None], y_test)
history = model.fit(x_train[..., None], y_train, epochs=EPOCHS, batch_size=32, validation_data=unseen, verbose=2)
loss, accuracy = model.evaluate(*unseen, verbose=0)
print("Loss:", round(loss, 4))
print("Accuracy:", round(accuracy, 4))

# %%
history.plot()

# %% [markdown]
# What it gets wrong is often hard for a person, too:

# %%
predictions = model.predict(x_test[..., None], verbose=0).argmax(axis=1)
figure = plt.figure(figsize=(9, 3.4), layout="constrained")
draw_mistakes(figure, "document 002", predictions, x_test, y_test)

# %% [markdown]
# ## Document 003: symbolic tensors in a `Sequential`
#
# `Input(...)` and a layer called on its result return symbolic tensors: descriptions of values that are yet to come.
# The listing puts those into `Sequential([...])`, which takes layers. Real Keras 3 refuses. To minidl the three tensors
# form one chain, and a chain of layers is what a Sequential is:

# %%
input_layer = Input(shape=(784,))
hidden_layer = Dense(128, activation="relu")(input_layer)
output_layer = Dense(10, activation="softmax")(hidden_layer)
classifier = Sequential([input_layer, hidden_layer, output_layer])
classifier.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
history = classifier.fit(x_train.reshape(-1, 784), one_hot, epochs=EPOCHS, batch_size=32, verbose=2)

# %% [markdown]
# Tensors that do not form a chain are an error that says what fits instead:

# %%
another = Dense(10, activation="softmax")(Input(shape=(784,)))
with listening():
    Sequential([input_layer, hidden_layer, another])

# %% [markdown]
# Like document 001, it ends in `model.save('model.h5')`. The file is Keras's own format: Keras reads what minidl wrote,
# and the other way round. Loaded back, the model predicts what it did before, to the last bit.

# %%
folder = tempfile.TemporaryDirectory()
classifier.save(f"{folder.name}/model.h5")
loaded = keras.models.load_model(f"{folder.name}/model.h5")
sample = x_test[:5].reshape(-1, 784)
assert np.array_equal(loaded.predict(sample, verbose=0), classifier.predict(sample, verbose=0))
print(loaded.predict(sample, verbose=0).argmax(axis=1), "and the truth:", y_test[:5])

# %% [markdown]
# ## Document 004: a client of a model behind an API
#
# The last listing trains nothing. It sends a preprocessed image to a service and prints the labels and confidences that
# come back. Its `image` and its `preprocess_image` are never defined, and the address is an example's. The two ends of
# it, without the network in between, are a few lines: both sides must agree on how an image is written down.


# %%
def preprocess_image(image):
    """The client's side: grey values from 0 to 255 become a list of rows, from 0 to 1."""
    return (np.asarray(image) / 255).tolist()


def classify(request):
    """The service's side: JSON in, JSON out."""
    image = np.array(json.loads(request)["image"])
    confidences = model.predict(image[None, ..., None], verbose=0)[0]
    best = np.argsort(-confidences)[:3]
    return json.dumps({"labels": best.tolist(), "confidences": confidences[best].tolist()})


_, (grey, _) = keras.datasets.mnist.load_data()
result = json.loads(classify(json.dumps({"image": preprocess_image(grey[0])})))
for label, confidence in zip(result["labels"], result["confidences"], strict=True):
    print(f"{label}: {confidence:.4f}")

# %% [markdown]
# A service meets all kinds of clients. An image of another size is refused, with a reason:

# %%
with listening():
    classify(json.dumps({"image": preprocess_image(np.zeros((20, 20)))}))

# %%
folder.cleanup()
