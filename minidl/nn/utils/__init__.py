"""What models need beside layers: gradient clipping, parameters as one vector, and sequences of several lengths."""

from minidl.nn.utils import rnn
from minidl.nn.utils.gradients import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters
