// Functions that go element by element, and sums over channels.
// Each thread takes elements a whole grid apart, so that one launch covers any size.

extern "C" __global__ void relu(const REAL* __restrict__ x, REAL* __restrict__ y, long long size)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += threads) {
        const REAL value = x[i];
        y[i] = value < 0 ? (REAL)0 : value;  // nan is not below 0: it stays
    }
}
