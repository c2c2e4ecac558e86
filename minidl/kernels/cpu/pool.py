r"""How kernels share their work among threads, in compiled code from end to end.

A kernel is called once, with the address of the pool in place of the number of a part; it packs its own arguments,
hands them to :func:`share`, and is called again by each thread for each part it claims::

    Python       kernel(-pool, parts, x, y)                               returns
                     │                                                       ↑
    caller       share: wakes ── part 0 ──── part 3 ──── closes ── waits ────┘
                          ↓
    serve: worker 1       └─ part 1 ──────── part 4 ──── leaves, watches for the next, then sleeps
           worker 2       └──── part 2 ──────────────── leaves ...

Python's lock is held by nobody meanwhile. Threads that had to take it for each part spent 30 us on a call, four times
asleep on one lock or another; here it is 3 us while a worker still watches, which it does for some 50 us after a job
(the next kernel of a network comes sooner), and what the system needs to wake it after that. A worker that comes too
late finds the job closed. Who is interrupted by another process in the middle of a part is waited for; who is before,
is not.

The pool is an array of 64-bit numbers: addresses of functions, a mutex and two conditions of the C library's, and the
job, of which there is one at a time: whoever finds the pool in use does all parts himself.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from minidl.kernels.cpu.compiler import helper, intrinsic, kernel
from minidl.kernels.cpu.threads import get_num_threads

__all__ = ["run", "shared_out"]

FUNCTIONS = "mutex_lock", "mutex_unlock", "cond_wait", "cond_signal"
# Where things are, in numbers of 8 bytes; what several threads write has a cache line of its own.
SHARE, LOCK, UNLOCK, SLEEP, WAKE = range(5)  # addresses of functions
TASK, ARGUMENTS, PARTS, HELPERS = range(8, 12)  # the job
MUTEX, WORK, DONE = 16, 32, 48  # 128 bytes each: more than any system's
TURN = 64  # counts jobs; workers watch it
OPEN, INSIDE, ASLEEP = 72, 73, 74  # whether helpers may enter, how many have, and how many sleep; under the mutex
NEXT = 80  # the next part to claim
FAILED = 88
BUSY = 96  # whether somebody's job is in the pool
SIZE = 104

#: By machine, LLVM's function for it, and what it takes.
ARM = "llvm.aarch64.hint", (1,)
PAUSES: dict[str, tuple[str, tuple[int, ...]]] = {"x86_64": ("llvm.x86.sse2.pause", ()), "aarch64": ARM, "arm64": ARM}
#: How often a thread looks before it sleeps; a pause takes 10 to 140 cycles.
LOOKS = 1000
INT = ir.IntType(64)


# ---------------------------------------------------------------------- what compiled Python lacks


def _pointer(builder: Any, pool: Any, place: Any, count: int = 8) -> Any:
    """Return where a number of the pool lies."""
    return builder.inttoptr(builder.add(pool, builder.mul(place, ir.Constant(INT, count))), INT.as_pointer())


@intrinsic
def look(typingctx: Any, pool: Any, place: Any) -> Any:
    """Return a number that other threads write."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, *args), ordering="seq_cst", align=8)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def put(typingctx: Any, pool: Any, place: Any, value: Any) -> Any:
    """Write a number that other threads look at."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _pointer(builder, *args[:2]), ordering="seq_cst", align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def add(typingctx: Any, pool: Any, place: Any, value: Any) -> Any:
    """Add to a number, and return what it was: no two threads see the same."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, *args[:2]), args[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def swap(typingctx: Any, pool: Any, place: Any, value: Any) -> Any:
    """Write a number, and return what it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("xchg", _pointer(builder, *args[:2]), args[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def pause(typingctx: Any) -> Any:
    """Leave the core's other thread more room, for a moment."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        machine = builder.module.triple.partition("-")[0]
        if machine in PAUSES:
            name, numbers = PAUSES[machine]
            kinds = [ir.IntType(32)] * len(numbers)
            hint = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
            builder.call(hint, [ir.Constant(ir.IntType(32), number) for number in numbers])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def system(typingctx: Any, pool: Any, function: Any, first: Any, second: Any) -> Any:
    """Call one of the C library's functions, of one or two addresses, for things that lie in the pool."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pool, function, *places = args
        kind = ir.FunctionType(ir.IntType(32), [INT, INT])
        address = builder.load(_pointer(builder, pool, function))
        size = ir.Constant(INT, 8)
        builder.call(
            builder.inttoptr(address, kind.as_pointer()),
            [builder.add(pool, builder.mul(place, size)) for place in places],
        )
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def call(typingctx: Any, task: Any, arguments: Any, part: Any) -> Any:
    """Do a part of a job; return whether it failed."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(INT, [INT, INT])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def shared_out(typingctx: Any, part: Any, parts: Any) -> Any:
    """Have threads do all parts if ``part`` is the negative address of a pool; return whether it was.

    The first line of a kernel ``(part, parts, ...)`` is ``if shared_out(part, parts): return``. The calls of single
    parts go to the function in which this one stands, with the same arguments but the first.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        part, parts = args
        itself, i64 = builder.function, lambda value: ir.Constant(INT, value)
        # the arguments of a function compiled by Numba: where to return a value, and an error, then its own
        own = itself.args[3:]
        bundle = ir.LiteralStructType([arg.type for arg in own])

        name = builder.module.get_unique_name(f"{itself.name}.task")
        task = ir.Function(builder.module, ir.FunctionType(INT, [INT, INT]), name)
        task.linkage = "internal"
        inner = ir.IRBuilder(task.append_basic_block())
        outputs = []
        for output in itself.args[:2]:
            room = inner.alloca(output.type.pointee)
            inner.store(ir.Constant(output.type.pointee, None), room)
            outputs.append(room)
        packed = inner.load(inner.inttoptr(task.args[0], bundle.as_pointer()))
        unpacked = [inner.extract_value(packed, i) for i in range(len(own))]
        status = inner.call(itself, [*outputs, task.args[1], *unpacked])
        inner.ret(inner.zext(inner.icmp_signed("!=", status, ir.Constant(status.type, 0)), INT))

        to_share = builder.icmp_signed("<", part, i64(0))
        with builder.if_then(to_share, likely=False):
            with builder.goto_entry_block():
                place = builder.alloca(bundle)
            for i, arg in enumerate(own):
                builder.store(arg, builder.gep(place, [ir.Constant(ir.IntType(32), k) for k in (0, i)], inbounds=True))
            pool = builder.neg(part)
            kind = ir.FunctionType(ir.IntType(32), [INT.as_pointer(), itself.args[1].type, *[INT] * 4])
            share = builder.inttoptr(builder.load(_pointer(builder, pool, i64(SHARE))), kind.as_pointer())
            with builder.goto_entry_block():
                failed = builder.alloca(INT)
            addresses = [builder.ptrtoint(pointer, INT) for pointer in (task, place)]
            builder.call(share, [failed, itself.args[1], pool, *addresses, parts])
            with builder.if_then(builder.icmp_signed("!=", builder.load(failed), i64(0)), likely=False):
                context.call_conv.return_user_exc(builder, MemoryError, ("a compiled kernel could not go on",))
        return to_share

    return types.boolean(types.int64, types.int64), codegen


# ---------------------------------------------------------------------- the pool


@helper
def claim(pool, task, arguments, parts):  # type: ignore[no-untyped-def]
    """Do one part after the other that nobody else has, and note if one fails."""
    part = add(pool, NEXT, 1)
    while part < parts:
        if call(task, arguments, part) != 0:
            put(pool, FAILED, 1)
        part = add(pool, NEXT, 1)


@kernel
def share(pool, task, arguments, parts):  # type: ignore[no-untyped-def]
    """Do all parts of a job, together with whoever comes; return how many failed, or 1."""
    failed = 0
    if swap(pool, BUSY, 1) == 1:
        for part in range(parts):
            failed += call(task, arguments, part)
        return failed
    put(pool, TASK, task)
    put(pool, ARGUMENTS, arguments)
    put(pool, PARTS, parts)
    put(pool, NEXT, 0)
    put(pool, FAILED, 0)
    system(pool, LOCK, MUTEX, 0)
    helpers = min(parts - 1, look(pool, HELPERS))
    put(pool, OPEN, helpers)
    add(pool, TURN, 1)
    asleep = look(pool, ASLEEP)
    system(pool, UNLOCK, MUTEX, 0)
    for _ in range(min(helpers, asleep)):
        system(pool, WAKE, WORK, 0)

    claim(pool, task, arguments, parts)

    system(pool, LOCK, MUTEX, 0)
    put(pool, OPEN, 0)  # nobody else comes in; whoever has is waited for
    system(pool, UNLOCK, MUTEX, 0)
    for _ in range(LOOKS):
        if look(pool, INSIDE) == 0:
            break
        pause()
    system(pool, LOCK, MUTEX, 0)
    while look(pool, INSIDE) > 0:
        system(pool, SLEEP, DONE, MUTEX)
    system(pool, UNLOCK, MUTEX, 0)
    failed = look(pool, FAILED)
    put(pool, BUSY, 0)
    return failed


@kernel
def serve(pool):  # type: ignore[no-untyped-def]
    """Help with one job after the other, for ever."""
    seen = 0
    while True:
        for _ in range(LOOKS):
            if look(pool, TURN) != seen:
                break
            pause()
        system(pool, LOCK, MUTEX, 0)
        while look(pool, TURN) == seen:
            add(pool, ASLEEP, 1)
            system(pool, SLEEP, WORK, MUTEX)
            add(pool, ASLEEP, -1)
        seen = look(pool, TURN)
        entered = look(pool, OPEN) > 0
        if entered:
            add(pool, OPEN, -1)
            add(pool, INSIDE, 1)
        system(pool, UNLOCK, MUTEX, 0)
        if entered:
            claim(pool, look(pool, TASK), look(pool, ARGUMENTS), look(pool, PARTS))
            system(pool, LOCK, MUTEX, 0)
            if add(pool, INSIDE, -1) == 1:
                system(pool, WAKE, DONE, 0)
            system(pool, UNLOCK, MUTEX, 0)


class Pool:
    """The pool of this process, and the Python threads that serve it."""

    def __init__(self) -> None:
        self._memory = np.zeros(SIZE + 8, np.int64)  # as long as the process, since threads look at it
        skipped = -self._memory.ctypes.data % 64 // 8
        self.numbers = self._memory[skipped : skipped + SIZE]
        self.address = self.numbers.ctypes.data
        self.workers = self.helpers = 0
        try:
            library = ctypes.CDLL(None)
            functions = [getattr(library, f"pthread_{name}") for name in FUNCTIONS]
        except (AttributeError, OSError, TypeError):  # Windows: the caller does all parts himself
            self.address = 0
            return
        for place, function in enumerate(functions, LOCK):
            self.numbers[place] = ctypes.cast(function, ctypes.c_void_p).value or 0
        library.pthread_mutex_init(ctypes.c_void_p(self.address + 8 * MUTEX), None)
        for condition in (WORK, DONE):
            library.pthread_cond_init(ctypes.c_void_p(self.address + 8 * condition), None)
        four = (types.int64,) * 4
        share.compile(four)
        compiled = share.overloads[four]
        self.numbers[SHARE] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        serve.compile(four[:1])

    def want(self, helpers: int) -> None:
        """Let so many threads help with the jobs to come."""
        with _making:
            while self.address and self.workers < helpers:
                self.workers += 1
                name = f"minidl-kernels-{self.workers}"
                threading.Thread(target=serve, args=(self.address,), name=name, daemon=True).start()
            self.helpers = self.numbers[HELPERS] = helpers


_pool: Pool | None = None
_making = threading.Lock()


def run(kernel: Any, parts: int, *args: Any) -> None:
    """Call ``kernel(part, parts, *args)`` for each part, at the same time where there are threads for it.

    Parameters
    ----------
    kernel : compiled function
        It begins with ``if shared_out(part, parts): return``.
    parts : int
    *args

    Raises
    ------
    MemoryError
        If a part raised an error, which kernels do for want of memory alone; after all that was begun has ended.
    """
    threads = get_num_threads()
    if parts > 1 and threads > 1:
        pool = _pool or _made()
        if pool.helpers != threads - 1:
            pool.want(threads - 1)
        if pool.address:
            kernel(-pool.address, parts, *args)
            return
    for part in range(parts):
        kernel(part, parts, *args)


def _made() -> Pool:
    global _pool
    with _making:
        if _pool is None:
            _pool = Pool()
    return _pool


def _forget() -> None:
    """In a forked child, which has none of its parent's threads: start over."""
    global _pool, _making
    _pool, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
