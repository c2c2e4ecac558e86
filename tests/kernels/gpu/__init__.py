"""The GPU's kernels. Without a GPU their sources run on the CPU (``tests.cuda_on_cpu``), under a stand-in for CuPy.

Each test file has ``FAULTS``: what to change in a source so that a check of the file must fail. ``test_planted_faults``
collects them and asks for some of each kernel.
"""
