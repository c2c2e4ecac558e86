"""Tutorial 1: how a gradient is computed.

Run it with ``python tutorials/01_autograd.py``, or step through it in a debugger: it is a plain program, and every
``assert`` in it is a claim of the text that is checked when it runs. You need to know what a derivative is.
"""

import numpy as np

import minidl
from minidl.autograd import Function

# ----------------------------------------------------------------------------------------------------------------------
# 1. A tensor remembers
#
# A tensor is an array of numbers. One made with ``requires_grad=True`` also makes every result remember which operation
# produced it, and from what.

x = minidl.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = (x * x).sum()
print("y =", y.item())
assert y.item() == 1 + 4 + 9

# y now stands at the top of a graph: a ``sum`` node, below it a ``mul`` node, below that x. ``backward`` walks it from
# the top down. At each node it knows how y changes with the node's output, and asks the node's ``backward`` rule how y
# changes with the node's inputs: the chain rule, one link at a time.

y.backward()
print("dy/dx =", x.grad)
assert np.array_equal(x.grad.numpy(), 2 * x.detach().numpy())

# Where to read it: ``minidl/ops/arithmetic.py`` has the rule of ``mul`` right below its forward,
# ``minidl/autograd/engine.py`` has the walk.

# ----------------------------------------------------------------------------------------------------------------------
# 2. Gradients add up
#
# A value that is used twice influences the result along two paths, and its gradient is the sum over both. For the same
# reason ``.grad`` accumulates: a second backward adds to what is there. That is why a training loop begins each step
# with ``optimizer.zero_grad()``.

x.grad = None
(x * x).sum().backward()
(3 * x).sum().backward()
assert np.array_equal(x.grad.numpy(), 2 * x.detach().numpy() + 3)

# ----------------------------------------------------------------------------------------------------------------------
# 3. Never trust a gradient that you have not checked
#
# A derivative is the limit of a difference quotient, so a difference quotient with a small step must come close. This
# is what ``gradcheck`` does, along a random direction and with a random weight for each output. It needs float64: in
# float32 the difference of two near numbers keeps too few digits.


def f(z):
    return (z * z * z).sum() / 3


point = minidl.tensor([1.0, -2.0, 0.5], dtype="float64", requires_grad=True)
step, direction = 1e-6, np.array([0.3, -1.0, 2.0])
quotient = (f(point + step * direction) - f(point - step * direction)).item() / (2 * step)
(slope,) = minidl.grad(f(point), point)
print("difference quotient", quotient, "gradient", (slope.numpy() * direction).sum())
assert abs(quotient - (slope.numpy() * direction).sum()) < 1e-8
assert minidl.gradcheck(f, (point,))

# ----------------------------------------------------------------------------------------------------------------------
# 4. Descent
#
# The gradient points where a function grows fastest; the opposite direction is where it shrinks. Take small steps that
# way and you have trained something. Here a line is fitted to four points that lie on y = 2x + 1. No graph is wanted of
# the update itself, so it stands under ``no_grad``.

inputs = minidl.tensor([0.0, 1.0, 2.0, 3.0])
targets = 2 * inputs + 1
weight = minidl.tensor(0.0, requires_grad=True)
bias = minidl.tensor(0.0, requires_grad=True)
for _ in range(500):
    error = weight * inputs + bias - targets
    loss = (error * error).sum() / 4
    loss.backward()
    with minidl.no_grad():
        for parameter in (weight, bias):
            parameter -= 0.1 * parameter.grad
            parameter.grad = None
print("fitted:", weight.item(), "x +", bias.item())
assert abs(weight.item() - 2) < 1e-3
assert abs(bias.item() - 1) < 1e-3

# ----------------------------------------------------------------------------------------------------------------------
# 5. The gradient of a gradient
#
# Backward rules are written with ordinary operations. Asked to (``create_graph=True``), the engine hands them tensors
# in place of arrays: then what they compute is recorded like anything else, and can be differentiated in turn.

z = minidl.tensor(2.0, requires_grad=True)
(first,) = minidl.grad(z * z * z, z, create_graph=True)
(second,) = minidl.grad(first, z)
print("z^3 at 2: slope", first.item(), "curvature", second.item())
assert (first.item(), second.item()) == (12.0, 12.0)  # 3 z^2 and 6 z

# ----------------------------------------------------------------------------------------------------------------------
# 6. Your own rule
#
# An operation is a forward and the rule that belongs to it. ``Cube`` saves its input, because the rule needs it.


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * grad * x * x


assert minidl.gradcheck(Cube.apply, (point,))


# A wrong rule does not crash, it trains badly, which is worse. Forget the factor 3, and gradcheck notices:
class WrongCube(Cube):
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x * x


assert not minidl.gradcheck(WrongCube.apply, (point,), raise_exception=False)

# Exercise: write ``Softplus``, log(1 + exp(x)), with its rule, and let gradcheck judge it. What happens to your forward
# at x = 1000, where the answer is 1000?
print("All claims hold.")
