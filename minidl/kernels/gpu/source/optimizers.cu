// Steps of optimisers: all parameters of a group in one launch, each element read and written once.
//
// The parameters and their gradients lie where they lie, in an allocation each; what the optimiser keeps about them lies
// in flat arrays, one parameter after another. The table says how these meet. It has three rows of `members` numbers:
// the addresses of the parameters, the addresses of their gradients, and where each begins in the flat arrays.

struct Element {
    REAL* p;
    REAL g;
};

__device__ Element element(const long long* table, int members, long long i)
{
    const long long* starts = table + 2 * members;
    int low = 0, high = members - 1;  // the last member that begins at or before i
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (starts[middle] <= i) low = middle;
        else high = middle - 1;
    }
    const long long at = i - starts[low];
    return {(REAL*)table[low] + at, ((const REAL*)table[members + low])[at]};
}

// The gradient with its sign and weight decay. Without decay, a parameter that has become infinite stays out of it.
__device__ REAL gradient(Element of, REAL sign, REAL decay)
{
    return decay != 0 ? of.g * sign + *of.p * decay : of.g * sign;
}

#define EACH(i, size) \
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (size); i += (long long)gridDim.x * blockDim.x

extern "C" __global__ void adam(
    const long long* __restrict__ table, int members, REAL* __restrict__ mean, REAL* __restrict__ spread,
    REAL* __restrict__ highest, long long size, REAL sign, REAL decay, REAL shrink, REAL rest1, REAL beta2, REAL rest2,
    REAL eps, REAL scale)
{
    for (EACH(i, size)) {
        const Element of = element(table, members, i);
        const REAL p = *of.p, g = gradient(of, sign, decay);
        const REAL m = mean[i] + (g - mean[i]) * rest1;
        REAL v = spread[i] * beta2 + g * g * rest2;
        mean[i] = m;
        spread[i] = v;
        if (highest) {
            if (v > highest[i] || v != v) highest[i] = v;  // a nan stays: nothing is larger
            v = highest[i];
        }
        *of.p = p * shrink - m / (sqrt(v) + eps) * scale;
    }
}

extern "C" __global__ void sgd(
    const long long* __restrict__ table, int members, REAL* __restrict__ velocity, long long size, REAL sign,
    REAL decay, REAL shrink, REAL rate, REAL momentum, REAL keep, REAL add, REAL nesterov)
{
    for (EACH(i, size)) {
        const Element of = element(table, members, i);
        const REAL p = *of.p;
        REAL step = gradient(of, sign, decay);
        if (momentum != 0) {
            const REAL speed = keep != 0 ? velocity[i] * momentum + step * add : step;
            velocity[i] = speed;
            step = nesterov != 0 ? speed * momentum + step : speed;
        }
        *of.p = p * shrink - step * rate;
    }
}

extern "C" __global__ void keras_sgd(
    const long long* __restrict__ table, int members, REAL* __restrict__ velocity, long long size, REAL sign,
    REAL decay, REAL shrink, REAL rate, REAL momentum, REAL nesterov)
{
    for (EACH(i, size)) {
        const Element of = element(table, members, i);
        const REAL p = *of.p;
        REAL step = gradient(of, sign, decay) * rate;
        if (momentum != 0) {
            const REAL speed = velocity[i] * momentum + step;
            velocity[i] = speed;
            step = nesterov != 0 ? step + speed * momentum : speed;
        }
        *of.p = p * shrink - step;
    }
}

extern "C" __global__ void rmsprop(
    const long long* __restrict__ table, int members, REAL* __restrict__ square, REAL* __restrict__ mean,
    REAL* __restrict__ velocity, long long size, REAL sign, REAL decay, REAL shrink, REAL alpha, REAL rest, REAL inner,
    REAL outer, REAL rate, REAL momentum, bool rate_first)
{
    for (EACH(i, size)) {
        const Element of = element(table, members, i);
        const REAL p = *of.p, g = gradient(of, sign, decay);
        REAL v = square[i] * alpha + g * g * rest;
        square[i] = v;
        v += inner;
        if (mean) {  // centered
            const REAL m = mean[i] + (g - mean[i]) * rest;
            mean[i] = m;
            v -= m * m;
        }
        REAL step = g / (sqrt(v) + outer);
        if (rate_first) step *= rate;
        if (velocity) {
            step = velocity[i] * momentum + step;
            velocity[i] = step;
        }
        if (!rate_first) step *= rate;
        *of.p = p * shrink - step;
    }
}
