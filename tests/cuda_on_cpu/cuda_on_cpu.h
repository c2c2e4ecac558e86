// CUDA C's words, for a C++ compiler of the CPU: a kernel's source includes this and runs unchanged.
//
// One block runs after another. A kernel without barriers is a loop over a block's threads; in one with barriers each
// thread is a fiber, which gives way where it waits. What a GPU would leave undefined ends the launch with a message:
// a barrier that not all threads reach, a shuffle from a thread that is not there, an index past the end of an array,
// an overflow. Shared memory holds nan (bytes of ones) when a block starts.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>
#ifndef __x86_64__
#include <ucontext.h>
#endif

// ---- The language ------------------------------------------------------------------------------------------------
#define __global__
#define __device__ static inline
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __constant__ static
#define __shared__ static __attribute__((section("cuda_shared")))  // one section, so that it can be filled with nan

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;
static unsigned char *dynamic_shared;  // `extern __shared__ T name[];` becomes a pointer to it

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline float rsqrt(float x) { return 1 / sqrtf(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
#define __expf expf
#define __logf logf
static inline float __fdividef(float a, float b) { return a / b; }
template <class T> static inline T __ldg(const T *place) { return *place; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
static inline int __float_as_int(float x) { int y; memcpy(&y, &x, 4); return y; }
static inline unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
static inline float __int_as_float(int x) { float y; memcpy(&y, &x, 4); return y; }
static inline float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
template <class T> static inline T atomicAdd(T *place, T value) { T old = *place; *place += value; return old; }
template <class T> static inline T atomicMax(T *place, T value) { T old = *place; if (value > old) *place = value; return old; }
template <class T> static inline T atomicMin(T *place, T value) { T old = *place; if (value < old) *place = value; return old; }
template <class T> static inline T atomicExch(T *place, T value) { T old = *place; *place = value; return old; }
template <class T> static inline T atomicCAS(T *place, T expected, T value) { T old = *place; if (old == expected) *place = value; return old; }

namespace machine {

// ---- What goes wrong ---------------------------------------------------------------------------------------------
static char message[256];
static sigjmp_buf way_out;

[[noreturn]] static void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    siglongjmp(way_out, 1);
}

[[noreturn]] static void fault(const char *what) {
    fail("%s by thread (%u, %u, %u) of block (%u, %u, %u)", what, threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x,
         blockIdx.y, blockIdx.z);
}

static void on_signal(int number) {
    fault(number == SIGILL   ? "an index past the end of an array, or an integer overflow,"
          : number == SIGFPE ? "a division by zero"
                             : "an illegal memory access");
}

// ---- Fibers ------------------------------------------------------------------------------------------------------
#ifdef __x86_64__
// Switching by hand takes nanoseconds; swapcontext asks the kernel twice, and a tiled product switches a million times.
struct Context {
    void *stack_pointer;
};
__asm__(R"(
.text
machine_go_on:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
extern "C" __attribute__((visibility("hidden"))) void machine_go_on(Context *from, Context *to);
static void go_on(Context &from, Context &to) { machine_go_on(&from, &to); }
static void prepare(Context &context, char *stack, size_t size, void (*start)()) {
    void **top = (void **)(((size_t)stack + size) & ~(size_t)15);
    *--top = nullptr;  // where a function's caller would have put the way back
    *--top = (void *)start;
    context.stack_pointer = top - 6;  // the six registers
}
#else
typedef ucontext_t Context;
static void go_on(Context &from, Context &to) { swapcontext(&from, &to); }
static void prepare(Context &context, char *stack, size_t size, void (*start)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = size;
    context.uc_link = nullptr;
    makecontext(&context, start, 0);
}
#endif

enum State { RUNNING, AT_WARP, AT_BLOCK, DONE };
struct Fiber {
    Context context;
    char *stack;
    dim3 thread;
    State state;
    int line;  // of the barrier that it waits at
};
static const int MOST_THREADS = 1024, WARP = 32;
static const size_t STACK = 64 * 1024;
static Fiber fibers[MOST_THREADS];
static Context scheduler;
static int current = -1;  // -1: this kernel runs without fibers
static int threads;
static unsigned long long slots[MOST_THREADS];  // what each thread offers in a shuffle
static void (*entry)(void **);
static void **arguments;

static void wait(State at, int line) {
    if (current < 0) fault("a barrier or shuffle was met in a kernel that shows none");
    fibers[current].state = at;
    fibers[current].line = line;
    go_on(fibers[current].context, scheduler);
}

template <class T> static T shuffle(T value, int source) {
    memcpy(&slots[current < 0 ? 0 : current], &value, sizeof value);
    wait(AT_WARP, 0);
    if (source >= threads || fibers[source].state == DONE) fault("a shuffle from a thread that is not there");
    T received;
    memcpy(&received, &slots[source], sizeof received);
    wait(AT_WARP, 0);  // until all have read
    return received;
}

static void fiber_main() {
    entry(arguments);
    fibers[current].state = DONE;
    go_on(fibers[current].context, scheduler);
}

// Let the threads that wait for one another go on; false if none does.
static bool release() {
    bool released = false;
    for (int first = 0; first < threads; first += WARP) {
        const int last = min(threads, first + WARP);
        int waiting = 0, living = 0;
        for (int t = first; t < last; t++) {
            waiting += fibers[t].state == AT_WARP;
            living += fibers[t].state != DONE;
        }
        if (!waiting || waiting < living) continue;
        for (int t = first; t < last; t++)
            if (fibers[t].state == AT_WARP) fibers[t].state = RUNNING;
        released = true;
    }
    if (released) return true;
    int waiting = 0, done = 0;
    for (int t = 0; t < threads; t++) {
        waiting += fibers[t].state == AT_BLOCK;
        done += fibers[t].state == DONE;
    }
    if (done == threads) return false;
    if (waiting != threads)
        fail("divergent barrier: %d of %d threads of block (%u, %u, %u) wait at __syncthreads(), %d have returned",
             waiting, threads, blockIdx.x, blockIdx.y, blockIdx.z, done);
    for (int t = 0; t < threads; t++) {
        if (fibers[t].line != fibers[0].line)
            fail("divergent barrier: threads of block (%u, %u, %u) wait at lines %d and %d", blockIdx.x, blockIdx.y,
                 blockIdx.z, fibers[0].line, fibers[t].line);
        fibers[t].state = RUNNING;
    }
    return true;
}

static dim3 place(unsigned long long i, dim3 extent) {
    return {unsigned(i % extent.x), unsigned(i / extent.x % extent.y), unsigned(i / extent.x / extent.y)};
}

static void run_block(bool descending) {
    for (int t = 0; t < threads; t++) {
        Fiber &fiber = fibers[t];
        if (!fiber.stack) fiber.stack = (char *)malloc(STACK);
        fiber.state = RUNNING;
        fiber.thread = place(t, blockDim);
        prepare(fiber.context, fiber.stack, STACK, fiber_main);
    }
    do {
        for (int i = 0; i < threads; i++) {
            current = descending ? threads - 1 - i : i;
            if (fibers[current].state != RUNNING) continue;
            threadIdx = fibers[current].thread;
            go_on(scheduler, fibers[current].context);
        }
    } while (release());
}

// ---- Launching ---------------------------------------------------------------------------------------------------
extern "C" char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

template <auto kernel> struct Call;
template <class... P, void (*kernel)(P...)> struct Call<kernel> {
    template <size_t... I> static void spread(void **a, std::index_sequence<I...>) { kernel(*(P *)a[I]...); }
    static void run(void **a) { spread(a, std::index_sequence_for<P...>{}); }
};

// Run the blocks from `first` to before `last`, counted along x, then y, then z.
template <auto kernel>
static void run_grid(unsigned shared, bool uses_fibers, bool descending, unsigned long long first, unsigned long long last) {
    for (unsigned long long i = 0; i < last - first; i++) {
        blockIdx = place(descending ? last - 1 - i : first + i, gridDim);
        if (__start_cuda_shared) memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
        if (shared) memset(dynamic_shared, 0xff, shared);
        if (uses_fibers) {
            run_block(descending);
            continue;
        }
        current = -1;
        for (int t = 0; t < threads; t++) {
            threadIdx = place(descending ? threads - 1 - t : t, blockDim);
            Call<kernel>::run(arguments);
        }
    }
}

template <auto kernel>
static int launch(void **values, const unsigned *extents, unsigned char *shared_memory, unsigned shared, int fibers, int descending,
                  unsigned long long first, unsigned long long last) {
    static char signal_stack[65536];
    stack_t stack = {}, old_stack;
    stack.ss_sp = signal_stack;
    stack.ss_size = sizeof signal_stack;
    sigaltstack(&stack, &old_stack);
    const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {}, old_actions[4];
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (int i = 0; i < 4; i++) sigaction(numbers[i], &action, &old_actions[i]);

    arguments = values;
    entry = Call<kernel>::run;
    dynamic_shared = shared_memory;
    gridDim = {extents[0], extents[1], extents[2]};
    blockDim = {extents[3], extents[4], extents[5]};
    threads = int(blockDim.x * blockDim.y * blockDim.z);
    message[0] = 0;
    volatile int failed = 1;
    if (!sigsetjmp(way_out, 1)) {
        run_grid<kernel>(shared, fibers, descending, first, last);
        failed = 0;
    }
    for (int i = 0; i < 4; i++) sigaction(numbers[i], &old_actions[i], nullptr);
    if (!(old_stack.ss_flags & SS_DISABLE)) sigaltstack(&old_stack, nullptr);
    return failed;
}

// ---- Memory that ends at a page nobody may touch -------------------------------------------------------------------
static size_t rounded(size_t size) {
    const size_t page = sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static const unsigned char FILLER = 0xff;  // before the first byte: nan to who reads it

extern "C" __attribute__((visibility("default"))) void *guarded_allocate(size_t size) {
    const size_t page = sysconf(_SC_PAGESIZE), body = rounded(size);
    char *base = (char *)mmap(nullptr, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    if (body) mprotect(base + page, body, PROT_READ | PROT_WRITE);
    memset(base + page, FILLER, body - size);
    return base + page + (body - size);
}

// Give memory back; whether something was written before its first byte.
extern "C" __attribute__((visibility("default"))) int guarded_free(void *memory, size_t size) {
    const size_t page = sysconf(_SC_PAGESIZE), body = rounded(size);
    unsigned char *start = (unsigned char *)memory - (body - size);
    int written = 0;
    for (size_t i = 0; i < body - size; i++) written |= start[i] != FILLER;
    munmap(start - page, body + 2 * page);
    return written;
}

extern "C" __attribute__((visibility("default"))) const char *last_message() { return message; }

}  // namespace machine

#define __syncthreads() machine::wait(machine::AT_BLOCK, __LINE__)
static inline void __syncwarp(unsigned = ~0u) { machine::wait(machine::AT_WARP, 0); }
template <class T> static inline T __shfl_sync(unsigned, T value, int lane) {
    return machine::shuffle(value, (machine::current & ~31) + (lane & 31));
}
template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask) {
    return machine::shuffle(value, machine::current ^ mask);
}
template <class T> static inline T __shfl_down_sync(unsigned, T value, int by) {
    return machine::shuffle(value, (machine::current & 31) + by < 32 ? machine::current + by : machine::current);
}
template <class T> static inline T __shfl_up_sync(unsigned, T value, int by) {
    return machine::shuffle(value, (machine::current & 31) >= by ? machine::current - by : machine::current);
}

#define LAUNCHER(name)                                                                                                  \
    extern "C" __attribute__((visibility("default"))) int launch_##name(                                                \
        void **values, const unsigned *extents, unsigned char *memory, unsigned shared, int fibers, int descending,     \
        unsigned long long first, unsigned long long last) {                                                            \
        return machine::launch<name>(values, extents, memory, shared, fibers, descending, first, last);                 \
    }
