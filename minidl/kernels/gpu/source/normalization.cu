// Batch normalisation of (batch, channels, spots): a block takes a channel, which it reads once for the mean, once for
// the variance (of what is centred, so that a large mean cancels nothing), and once to write the result.

#define EACH(i, count) int i = threadIdx.x; i < (count); i += blockDim.x

// The sum of a value over all threads of a block, added in the same order each time. Warps add up by exchanging
// registers; then each thread adds up the warps' sums.
__device__ REAL block_sum(REAL value)
{
    __shared__ REAL parts[32];
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
    __syncthreads();  // the parts of the sum before have been read
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    REAL total = 0;
    for (int warp = 0; warp < (int)blockDim.x / 32; warp++) total += parts[warp];
    return total;
}

// Where value i of a channel lies.
__device__ long long place(int i, int channel, int channels, int spots)
{
    return ((long long)(i / spots) * channels + channel) * spots + i % spots;
}

// weight and bias may be null.
extern "C" __global__ void batch_norm(
    const REAL* __restrict__ x, const REAL* __restrict__ weight, const REAL* __restrict__ bias, REAL* __restrict__ y,
    REAL* __restrict__ means, REAL* __restrict__ variances, int count, int channels, int spots, REAL eps)
{
    for (int c = blockIdx.x; c < channels; c += gridDim.x) {
        REAL sum = 0, squares = 0;
        for (EACH(i, count)) sum += x[place(i, c, channels, spots)];
        const REAL mean = block_sum(sum) / count;
        for (EACH(i, count)) {
            const REAL centred = x[place(i, c, channels, spots)] - mean;
            squares += centred * centred;
        }
        const REAL variance = block_sum(squares) / count;
        const REAL scale = (weight ? weight[c] : (REAL)1) / sqrt(variance + eps), offset = bias ? bias[c] : (REAL)0;
        for (EACH(i, count)) {
            const long long at = place(i, c, channels, spots);
            y[at] = (x[at] - mean) * scale + offset;
        }
        if (threadIdx.x == 0) {
            means[c] = mean;
            variances[c] = variance;
        }
    }
}

extern "C" __global__ void batch_norm_grad(
    const REAL* __restrict__ grad, const REAL* __restrict__ x, const REAL* __restrict__ means,
    const REAL* __restrict__ rstd, const REAL* __restrict__ weight, REAL* __restrict__ grad_x,
    REAL* __restrict__ grad_weight, REAL* __restrict__ grad_bias, int count, int channels, int spots)
{
    for (int c = blockIdx.x; c < channels; c += gridDim.x) {
        const REAL mean = means[c], spread = rstd[c];
        REAL sum = 0, product = 0;
        for (EACH(i, count)) {
            const long long at = place(i, c, channels, spots);
            sum += grad[at];
            product += grad[at] * ((x[at] - mean) * spread);
        }
        sum = block_sum(sum);
        product = block_sum(product);
        const REAL scale = spread * (weight ? weight[c] : (REAL)1);
        for (EACH(i, count)) {
            const long long at = place(i, c, channels, spots);
            grad_x[at] = (grad[at] - sum / count - (x[at] - mean) * spread * (product / count)) * scale;
        }
        if (threadIdx.x == 0) {
            grad_weight[c] = product;
            grad_bias[c] = sum;
        }
    }
}
