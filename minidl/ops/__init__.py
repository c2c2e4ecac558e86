"""Operations: each is one formula, one forward, one backward and one public function, on one page."""

import types as _types

from minidl.autograd import cast
from minidl.ops import creation, indexing
from minidl.ops.activations import *
from minidl.ops.arithmetic import *
from minidl.ops.arranging import *
from minidl.ops.attention import *
from minidl.ops.class_losses import *
from minidl.ops.comparison import *
from minidl.ops.contraction import *
from minidl.ops.conversion import *
from minidl.ops.convolution import *
from minidl.ops.creation import *
from minidl.ops.elementwise import *
from minidl.ops.extremes import *
from minidl.ops.gathering import *
from minidl.ops.indexing import *
from minidl.ops.linalg import *
from minidl.ops.lookup import *
from minidl.ops.losses import *
from minidl.ops.margin_losses import *
from minidl.ops.masking import *
from minidl.ops.normalization import *
from minidl.ops.pooling import *
from minidl.ops.powers import *
from minidl.ops.probability_losses import *
from minidl.ops.recurrent import *
from minidl.ops.reductions import *
from minidl.ops.sampling import *
from minidl.ops.scans import *
from minidl.ops.selection import *
from minidl.ops.shape import *
from minidl.ops.similarity import *
from minidl.ops.sorting import *
from minidl.ops.trigonometry import *

#: The operations, without the modules that hold them: what ``minidl`` itself imports.
__all__ = [name for name, value in vars().copy().items() if name[0] != "_" and not isinstance(value, _types.ModuleType)]
