// Dropout by counted random numbers. Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as
// easy as 1, 2, 3") is no sequence but a function: it scrambles a counter of 128 bits under a key of 64 into four words
// of 32 random bits. So each thread computes its own numbers from where it is, and the way back computes them again
// instead of reading a mask that was kept.

struct Words {
    unsigned of[4];
};

__device__ Words philox(unsigned long long low, unsigned long long high, unsigned long long key)
{
    Words x = {{(unsigned)low, (unsigned)(low >> 32), (unsigned)high, (unsigned)(high >> 32)}};
    unsigned key0 = (unsigned)key, key1 = (unsigned)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const unsigned long long a = 0xD2511F53ULL * x.of[0], b = 0xCD9E8D57ULL * x.of[2];
        x = {{(unsigned)(b >> 32) ^ x.of[1] ^ key0, (unsigned)b, (unsigned)(a >> 32) ^ x.of[3] ^ key1, (unsigned)a}};
        key0 += 0x9E3779B9u;  // the golden ratio, and below the root of 3 less 1
        key1 += 0xBB67AE85u;
    }
    return x;
}

// The words (4 * counters,) of the counters from offset on.
extern "C" __global__ void random_words(
    unsigned* __restrict__ words, long long counters, unsigned long long seed, unsigned long long offset,
    unsigned long long stream)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < counters; i += threads) {
        const Words found = philox(offset + i, stream, seed);
        for (int k = 0; k < 4; k++) words[4 * i + k] = found.of[k];
    }
}

// A word is below the threshold p * 2^32 with probability p. nan and inf that are dropped give nan, as in a product
// with a mask of zeros.
extern "C" __global__ void dropout(
    const REAL* __restrict__ x, REAL* __restrict__ y, long long size, unsigned threshold, REAL scale,
    unsigned long long seed, unsigned long long offset)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; 4 * i < size; i += threads) {
        const Words found = philox(offset + i, 0, seed);
        for (int k = 0; k < 4; k++) {
            const long long at = 4 * i + k;
            if (at < size) y[at] = x[at] * (found.of[k] < threshold ? (REAL)0 : scale);
        }
    }
}
