"""Compiled kernels for the CPU: the same names and signatures as in ``reference``, by Numba, several threads at once.

Nothing is imported here, so that what needs no Numba (``threads``) comes without it: ``minidl.kernels`` loads each file
when its first kernel is called. ``compiler`` has the decorator, ``vectors`` the micro-kernel that all heavy arithmetic
goes through, ``threads`` the pool; the other files have one family of kernels each.
"""
