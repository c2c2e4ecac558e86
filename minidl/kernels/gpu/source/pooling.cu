// The largest or the average element of each window, and how gradients return.
//
// blockIdx.x is the plane, the threads along y and x its pixels; each loop goes on a whole grid further. Gradients are
// gathered: a pixel looks up the windows that hold it, in the order in which the reference adds them.

// Of equals the first counts, and nan counts as largest. Indices count within a plane, row by row.
extern "C" __global__ void max_pool2d(const REAL* __restrict__ x, REAL* __restrict__ values,
                                      long long* __restrict__ indices, long long planes, int H, int W, int R, int S,
                                      int OH, int OW, int stride_h, int stride_w, int top, int left, int dilation_h,
                                      int dilation_w)
{
    const unsigned windows = OH * OW;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL* image = x + plane * H * W;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < windows; p += gridDim.y * blockDim.x) {
            const int first_h = (int)(p / OW) * stride_h - top, first_w = (int)(p % OW) * stride_w - left;
            // where nothing exceeds -inf, the first cell inside of the image is the largest
            const int inside_h = first_h < 0 ? (dilation_h - -first_h % dilation_h) % dilation_h : first_h;
            const int inside_w = first_w < 0 ? (dilation_w - -first_w % dilation_w) % dilation_w : first_w;
            REAL largest = __int_as_float(0xff800000);  // -inf
            long long index = (long long)min(inside_h, H - 1) * W + min(inside_w, W - 1);
            for (int r = 0; r < R; r++) {
                const int h = first_h + r * dilation_h;
                if (h < 0 || h >= H) continue;
                for (int s = 0; s < S; s++) {
                    const int w = first_w + s * dilation_w;
                    if (w < 0 || w >= W) continue;
                    const REAL value = image[(long long)h * W + w];
                    if (value > largest || value != value) {
                        largest = value;
                        index = (long long)h * W + w;
                    }
                }
            }
            values[plane * windows + p] = largest;
            indices[plane * windows + p] = index;
        }
    }
}

// Each pixel adds up the gradients of the windows whose largest element it was.
extern "C" __global__ void max_pool2d_grad(const REAL* __restrict__ grad, const long long* __restrict__ indices,
                                           REAL* __restrict__ grad_x, long long planes, int H, int W, int R, int S,
                                           int OH, int OW, int stride_h, int stride_w, int top, int left,
                                           int dilation_h, int dilation_w)
{
    const unsigned pixels = H * W;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const long long first = plane * OH * OW;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            REAL sum = 0;
            for (int r = R - 1; r >= 0; r--) {
                const int h = (int)(p / W) + top - r * dilation_h;  // stride_h * oh, if a window has this cell here
                if (h < 0 || h % stride_h || h / stride_h >= OH) continue;
                for (int s = S - 1; s >= 0; s--) {
                    const int w = (int)(p % W) + left - s * dilation_w;
                    if (w < 0 || w % stride_w || w / stride_w >= OW) continue;
                    const long long window = first + (long long)(h / stride_h) * OW + w / stride_w;
                    if (indices[window] == p) sum += grad[window];
                }
            }
            grad_x[plane * pixels + p] = sum;
        }
    }
}

// How many elements a window's average is of, along one axis. What ceil_mode adds beyond the padding never counts.
__device__ int extent(int start, int kernel, int length, int padding, bool count_include_pad)
{
    const int stop = min(start + kernel, length + padding);
    return count_include_pad ? stop - start : min(stop, length) - max(start, 0);
}

// `divisor` is 0 where the number of elements is to be divided by.
extern "C" __global__ void avg_pool2d(const REAL* __restrict__ x, REAL* __restrict__ y, long long planes, int H, int W,
                                      int R, int S, int OH, int OW, int stride_h, int stride_w, int top, int left,
                                      bool count_include_pad, long long divisor)
{
    const unsigned windows = OH * OW;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL* image = x + plane * H * W;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < windows; p += gridDim.y * blockDim.x) {
            const int first_h = (int)(p / OW) * stride_h - top, first_w = (int)(p % OW) * stride_w - left;
            REAL sum = 0;
            for (int h = max(first_h, 0); h < min(first_h + R, H); h++)
                for (int w = max(first_w, 0); w < min(first_w + S, W); w++) sum += image[(long long)h * W + w];
            const long long counted = (long long)extent(first_h, R, H, top, count_include_pad)
                                      * extent(first_w, S, W, left, count_include_pad);
            y[plane * windows + p] = sum / (REAL)(divisor ? divisor : counted);
        }
    }
}

// Each pixel adds up its shares of the gradients of the windows that hold it.
extern "C" __global__ void avg_pool2d_grad(const REAL* __restrict__ grad, REAL* __restrict__ grad_x, long long planes,
                                           int H, int W, int R, int S, int OH, int OW, int stride_h, int stride_w,
                                           int top, int left, bool count_include_pad, long long divisor)
{
    const unsigned pixels = H * W;
    for (long long plane = blockIdx.x; plane < planes; plane += gridDim.x) {
        const REAL* output = grad + plane * OH * OW;
        for (unsigned p = blockIdx.y * blockDim.x + threadIdx.x; p < pixels; p += gridDim.y * blockDim.x) {
            REAL sum = 0;
            for (int r = 0; r < R; r++) {
                const int h = (int)(p / W) + top - r;  // stride_h * oh, if a window has this cell here
                if (h < 0 || h % stride_h || h / stride_h >= OH) continue;
                const long long rows = extent(h - top, R, H, top, count_include_pad);
                for (int s = 0; s < S; s++) {
                    const int w = (int)(p % W) + left - s;
                    if (w < 0 || w % stride_w || w / stride_w >= OW) continue;
                    const long long counted = rows * extent(w - left, S, W, left, count_include_pad);
                    sum += output[(long long)(h / stride_h) * OW + w / stride_w] / (REAL)(divisor ? divisor : counted);
                }
            }
            grad_x[plane * pixels + p] = sum;
        }
    }
}
