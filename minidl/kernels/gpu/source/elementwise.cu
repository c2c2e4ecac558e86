// Functions that go element by element, and sums over channels.

// Each thread takes elements a whole grid apart, so that one launch covers any size.
extern "C" __global__ void relu(const REAL* __restrict__ x, REAL* __restrict__ y, long long size)
{
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const REAL value = x[i];
        y[i] = value < 0 ? (REAL)0 : value;  // nan is not below 0: it stays
    }
}

extern "C" __global__ void relu_grad(const REAL* __restrict__ grad, const REAL* __restrict__ y,
                                     REAL* __restrict__ result, long long size)
{
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step)
        result[i] = grad[i] * (REAL)(y[i] > 0);  // a product: inf and nan show
}

// sums[part][c] of images (N, C, pixels): a block adds up a channel of the images that are `parts` apart, first each
// thread on its own, then in a tree, so that the order never changes. If y is given, grad is first multiplied by
// (y > 0), and stored in result.
#define THREADS 256
extern "C" __global__ void __launch_bounds__(THREADS)
channel_sums(const REAL* __restrict__ grad, const REAL* __restrict__ y, REAL* __restrict__ result,
             REAL* __restrict__ sums, int N, int C, int pixels, int parts)
{
    __shared__ REAL partial[THREADS];
    const int c = blockIdx.x % C, part = blockIdx.x / C;
    REAL sum = 0;
    long long n = part + (long long)(threadIdx.x / pixels) * parts;
    int p = threadIdx.x % pixels;
    while (n < N) {
        const long long i = (n * C + c) * pixels + p;
        REAL value = grad[i];
        if (y) {
            value *= (REAL)(y[i] > 0);
            result[i] = value;
        }
        sum += value;
        n += (long long)(THREADS / pixels) * parts;  // THREADS pixels on
        p += THREADS % pixels;
        if (p >= pixels) {
            p -= pixels;
            n += parts;
        }
    }
    partial[threadIdx.x] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = partial[0];
}
