// Two-dimensional convolution: unfolding for a matrix product, and kernels of its own for few filters.
//
// N images of C channels, H x W; K filters of R x S; output OH x OW; `top` and `left` are the padding before the image.
// Where a launch goes over planes, blockIdx.x is the plane and the threads along y and x its pixels: a plane's pixels
// are counted in 32 bits, planes and places in memory in 64. Each loop goes on a whole grid further.

// Write the window of each output pixel as a column: columns[n][c, r, s][pixel], its axes image_step and row_step apart.
extern "C" __global__ void im2col(const REAL* __restrict__ x, REAL* __restrict__ columns, long long planes, int C, int H,
                                  int W, int R, int S, int OH, int OW, int stride_h, int stride_w, int top, int left,
                                  int dilation_h, int dilation_w, long long image_step, long long row_step)
{
    const unsigned pixels = OH * OW;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL* image = x + plane * H * W;
        const long long n = plane / C, c = plane % C;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            const int first_h = (int)(p / OW) * stride_h - top, first_w = (int)(p % OW) * stride_w - left;
            REAL* column = columns + n * image_step + c * R * S * row_step + p;
            for (int r = 0; r < R; r++) {
                const int h = first_h + r * dilation_h;
                for (int s = 0; s < S; s++) {
                    const int w = first_w + s * dilation_w;
                    const bool inside = h >= 0 && h < H && w >= 0 && w < W;
                    *column = inside ? image[(long long)h * W + w] : (REAL)0;
                    column += row_step;
                }
            }
        }
    }
}

// Add up what the columns hold of each input pixel: im2col's transpose. Each pixel gathers, so nothing is atomic and
// the order of additions is fixed. columns[n * C + c][r, s][pixel].
extern "C" __global__ void col2im(const REAL* __restrict__ columns, REAL* __restrict__ x, long long planes, int H, int W,
                                  int R, int S, int OH, int OW, int stride_h, int stride_w, int top, int left,
                                  int dilation_h, int dilation_w)
{
    const unsigned pixels = H * W;
    const long long windows = (long long)OH * OW;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL* rows = columns + plane * R * S * windows;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            REAL sum = 0;
            for (int r = 0; r < R; r++) {
                const int h = (int)(p / W) + top - r * dilation_h;  // stride_h * oh, if a window has this cell here
                if (h < 0 || h % stride_h || h / stride_h >= OH) continue;
                for (int s = 0; s < S; s++) {
                    const int w = (int)(p % W) + left - s * dilation_w;
                    if (w < 0 || w % stride_w || w / stride_w >= OW) continue;
                    sum += rows[(r * S + s) * windows + (long long)(h / stride_h) * OW + w / stride_w];
                }
            }
            x[plane * pixels + p] = sum;
        }
    }
}

// y = max(y + bias, 0), or only one of the two: bias may be null. A plane is a filter's output.
extern "C" __global__ void finish(REAL* __restrict__ y, const REAL* __restrict__ bias, long long planes, int K,
                                  int pixels, bool relu)
{
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL added = bias ? bias[plane % K] : (REAL)0;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            const REAL value = y[plane * pixels + p] + added;
            y[plane * pixels + p] = relu && value < 0 ? (REAL)0 : value;  // nan is not below 0: it stays
        }
    }
}

// One thread an output pixel, for groups of very few filters (depthwise): there is too little to share.
extern "C" __global__ void conv2d_direct(const REAL* __restrict__ x, const REAL* __restrict__ weight,
                                         const REAL* __restrict__ bias, REAL* __restrict__ y, long long planes, int C,
                                         int K, int H, int W, int R, int S, int OH, int OW, int stride_h, int stride_w,
                                         int top, int left, int dilation_h, int dilation_w, int groups, bool relu)
{
    const unsigned pixels = OH * OW;
    const int channels = C / groups, filters = K / groups;  // of a group
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const int k = (int)(plane % K);
        const REAL* images = x + (plane / K * C + (long long)(k / filters) * channels) * H * W;
        const REAL added = bias ? bias[k] : (REAL)0;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            const int first_h = (int)(p / OW) * stride_h - top, first_w = (int)(p % OW) * stride_w - left;
            const REAL* filter = weight + (long long)k * channels * R * S;
            REAL sum = 0;
            for (int c = 0; c < channels; c++) {
                const REAL* image = images + (long long)c * H * W;
                for (int r = 0; r < R; r++) {
                    const int h = first_h + r * dilation_h;
                    for (int s = 0; s < S; s++, filter++) {
                        const int w = first_w + s * dilation_w;
                        if (h >= 0 && h < H && w >= 0 && w < W) sum += *filter * image[(long long)h * W + w];
                    }
                }
            }
            sum += added;
            y[plane * pixels + p] = relu && sum < 0 ? (REAL)0 : sum;
        }
    }
}

// The gradient of conv2d_direct's image: one thread an input pixel gathers from the windows that saw it.
extern "C" __global__ void conv2d_input_grad_direct(const REAL* __restrict__ grad, const REAL* __restrict__ weight,
                                                    REAL* __restrict__ grad_x, long long planes, int C, int K, int H,
                                                    int W, int R, int S, int OH, int OW, int stride_h, int stride_w,
                                                    int top, int left, int dilation_h, int dilation_w, int groups)
{
    const unsigned pixels = H * W;
    const long long windows = (long long)OH * OW;
    const int channels = C / groups, filters = K / groups;  // of a group
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const int c = (int)(plane % C), first = c / channels * filters;  // of the filters that see this channel
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            REAL sum = 0;
            for (int k = first; k < first + filters; k++) {
                const REAL* filter = weight + ((long long)k * channels + c % channels) * R * S;
                const REAL* output = grad + (plane / C * K + k) * windows;
                for (int r = 0; r < R; r++) {
                    const int h = (int)(p / W) + top - r * dilation_h;
                    if (h < 0 || h % stride_h || h / stride_h >= OH) continue;
                    for (int s = 0; s < S; s++) {
                        const int w = (int)(p % W) + left - s * dilation_w;
                        if (w < 0 || w % stride_w || w / stride_w >= OW) continue;
                        sum += filter[r * S + s] * output[(long long)(h / stride_h) * OW + w / stride_w];
                    }
                }
            }
            grad_x[plane * pixels + p] = sum;
        }
    }
}

// The gradient of conv2d_direct's filters: a block for each weight adds up its products with all pixels of all images,
// first each thread on its own, then in a tree. The order never changes, so neither does the result.
#define SUM_THREADS 256
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
conv2d_weight_grad_direct(const REAL* __restrict__ x, const REAL* __restrict__ grad, REAL* __restrict__ grad_weight,
                          int N, int C, int K, int H, int W, int R, int S, int OH, int OW, int stride_h, int stride_w,
                          int top, int left, int dilation_h, int dilation_w, int groups)
{
    __shared__ REAL sums[SUM_THREADS];
    const int channels = C / groups, filters = K / groups;  // of a group
    const int s = blockIdx.x % S, r = blockIdx.x / S % R, k = blockIdx.x / S / R / channels;
    const int c = blockIdx.x / S / R % channels + k / filters * channels;
    const int pixels = OH * OW;

    REAL sum = 0;
    long long n = threadIdx.x / pixels;
    int p = threadIdx.x % pixels;
    while (n < N) {
        const int h = p / OW * stride_h - top + r * dilation_h, w = p % OW * stride_w - left + s * dilation_w;
        if (h >= 0 && h < H && w >= 0 && w < W)
            sum += grad[(n * K + k) * pixels + p] * x[((n * C + c) * H + h) * W + w];
        n += SUM_THREADS / pixels;  // SUM_THREADS pixels on
        p += SUM_THREADS % pixels;
        if (p >= pixels) {
            p -= pixels;
            n++;
        }
    }
    sums[threadIdx.x] = sum;
    for (int half = SUM_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) grad_weight[blockIdx.x] = sums[0];
}

// A matrix product whose right-hand side is never stored: each block computes TILE_FILTERS filters at TILE_PIXELS
// output pixels, TILE_DEPTH elements of the windows at a time, which it fetches straight out of the images ("implicit
// GEMM"). A thread keeps 4 x 4 results in registers, so that 8 reads from shared memory serve 16 multiplications.
#define TILE_FILTERS 32
#define TILE_PIXELS 64
#define TILE_DEPTH 16
#define TILE_THREADS 128
extern "C" __global__ void __launch_bounds__(TILE_THREADS, 4)
conv2d_tiled(const REAL* __restrict__ x, const REAL* __restrict__ weight, const REAL* __restrict__ bias,
             REAL* __restrict__ y, int N, int C, int K, int H, int W, int R, int S, int OH, int OW, int stride_h,
             int stride_w, int top, int left, int dilation_h, int dilation_w, int groups, bool relu)
{
    __shared__ REAL weights[TILE_DEPTH][TILE_FILTERS + 1];  // + 1: threads that write one column use different banks
    __shared__ REAL windows[TILE_DEPTH][TILE_PIXELS];
    __shared__ int channel_of[TILE_DEPTH], row_of[TILE_DEPTH], column_of[TILE_DEPTH];
    __shared__ long long place_of[TILE_PIXELS];  // where the first filter's output of a pixel is stored

    const int t = threadIdx.x, channels = C / groups, filters = K / groups, depth = channels * R * S;
    const int tiles = (filters + TILE_FILTERS - 1) / TILE_FILTERS;  // of a group
    const int pixels = OH * OW;

    // the pixel that this thread fetches windows for
    const long long q = (long long)blockIdx.x * TILE_PIXELS + t % TILE_PIXELS;
    const bool exists = q < (long long)N * pixels;
    const long long n = q / pixels;
    const int p = (int)(q % pixels);
    const int first_h = p / OW * stride_h - top, first_w = p % OW * stride_w - left;
    if (t < TILE_PIXELS) place_of[t] = exists ? n * K * pixels + p : -1;

    for (int part = blockIdx.y; part < groups * tiles; part += gridDim.y) {
        const int group = part / tiles, first_k = part % tiles * TILE_FILTERS;  // within the group
        const REAL* images = x + (n * C + (long long)group * channels) * H * W;
        const REAL* rows = weight + ((long long)group * filters + first_k) * depth;
        REAL sums[4][4] = {};
        for (int start = 0; start < depth; start += TILE_DEPTH) {
            if (t < TILE_DEPTH) {
                channel_of[t] = (start + t) / (R * S);
                row_of[t] = (start + t) / S % R * dilation_h;
                column_of[t] = (start + t) % S * dilation_w;
            }
            __syncthreads();  // the tables are there, and nobody reads the tiles of before any more
            for (int i = t; i < TILE_FILTERS * TILE_DEPTH; i += TILE_THREADS) {
                const int k = i / TILE_DEPTH, d = i % TILE_DEPTH;
                const bool inside = first_k + k < filters && start + d < depth;
                weights[d][k] = inside ? rows[(long long)k * depth + start + d] : (REAL)0;
            }
            for (int d = t / TILE_PIXELS; d < TILE_DEPTH; d += TILE_THREADS / TILE_PIXELS) {
                const int h = first_h + row_of[d], w = first_w + column_of[d];
                const bool inside = exists && start + d < depth && h >= 0 && h < H && w >= 0 && w < W;
                windows[d][t % TILE_PIXELS] = inside ? images[((long long)channel_of[d] * H + h) * W + w] : (REAL)0;
            }
            __syncthreads();  // the tiles are there
            for (int d = 0; d < TILE_DEPTH; d++) {
                REAL a[4], b[4];
                for (int i = 0; i < 4; i++) a[i] = weights[d][t / 16 + 8 * i];
                for (int j = 0; j < 4; j++) b[j] = windows[d][t % 16 + 16 * j];
                for (int i = 0; i < 4; i++)
                    for (int j = 0; j < 4; j++) sums[i][j] += a[i] * b[j];
            }
        }
        for (int i = 0; i < 4; i++) {
            const int k = first_k + t / 16 + 8 * i;
            if (k >= filters) continue;
            const long long filter = (long long)group * filters + k;
            const REAL added = bias ? bias[filter] : (REAL)0;
            for (int j = 0; j < 4; j++) {
                const long long place = place_of[t % 16 + 16 * j];
                const REAL value = sums[i][j] + added;
                if (place >= 0) y[place + filter * pixels] = relu && value < 0 ? (REAL)0 : value;
            }
        }
    }
}
