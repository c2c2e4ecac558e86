// Softmax along the middle axis of (outer, classes, inner), its gradients, and cross entropy on top of it.
//
// Each comes twice. Where there are few classes, or an inner axis (the pixels of a segmentation), a thread takes a
// whole line of classes: neighbouring threads take neighbouring lines, and what one leaves in the cache line the next
// one finds there. Where a line is long and lies in one piece (a language model's vocabulary), 32 threads share it:
// they read it side by side and add up what they found by exchanging registers (shuffles), without shared memory.

#define EVERY 0xffffffffu  // all lanes of a warp take part

__device__ REAL larger(REAL a, REAL b) { return a > b ? a : b; }

__device__ REAL warp_max(REAL value)
{
    for (int lanes = 16; lanes > 0; lanes /= 2) value = larger(value, __shfl_xor_sync(EVERY, value, lanes));
    return value;
}

__device__ REAL warp_sum(REAL value)
{
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(EVERY, value, lanes);
    return value;
}

// ---------------------------------------------------------------------- softmax and its logarithm

// A nan or inf in a line makes it all nan, as in the reference: exp(inf - inf) enters the total.
extern "C" __global__ void softmax_lines(
    const REAL* __restrict__ x, REAL* __restrict__ y, long long lines, int classes, long long inner, bool logarithm)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long line = (long long)blockIdx.x * blockDim.x + threadIdx.x; line < lines; line += threads) {
        const long long first = line / inner * classes * inner + line % inner;
        REAL top = x[first], total = 0;
        for (int c = 1; c < classes; c++) top = larger(top, x[first + c * inner]);
        for (int c = 0; c < classes; c++) total += exp(x[first + c * inner] - top);
        const REAL log_total = log(total);
        for (int c = 0; c < classes; c++) {
            const REAL z = x[first + c * inner] - top;
            y[first + c * inner] = logarithm ? z - log_total : exp(z) / total;
        }
    }
}

extern "C" __global__ void softmax_rows(
    const REAL* __restrict__ x, REAL* __restrict__ y, long long rows, int classes, bool logarithm)
{
    const int lane = threadIdx.x % 32;
    const long long warps = (long long)gridDim.x * (blockDim.x / 32);
    for (long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; row < rows; row += warps) {
        const REAL* of_x = x + row * classes;
        REAL top = of_x[0], total = 0;
        for (int c = lane; c < classes; c += 32) top = larger(top, of_x[c]);
        top = warp_max(top);
        for (int c = lane; c < classes; c += 32) total += exp(of_x[c] - top);
        total = warp_sum(total);
        const REAL log_total = log(total);
        for (int c = lane; c < classes; c += 32) {
            const REAL z = of_x[c] - top;
            y[row * classes + c] = logarithm ? z - log_total : exp(z) / total;
        }
    }
}

extern "C" __global__ void softmax_grad_lines(
    const REAL* __restrict__ grad, const REAL* __restrict__ y, REAL* __restrict__ grad_x, long long lines, int classes,
    long long inner, bool logarithm)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long line = (long long)blockIdx.x * blockDim.x + threadIdx.x; line < lines; line += threads) {
        const long long first = line / inner * classes * inner + line % inner;
        REAL total = 0;
        for (int c = 0; c < classes; c++) {
            const long long at = first + c * inner;
            total += logarithm ? grad[at] : grad[at] * y[at];
        }
        for (int c = 0; c < classes; c++) {
            const long long at = first + c * inner;
            grad_x[at] = logarithm ? grad[at] - exp(y[at]) * total : y[at] * (grad[at] - total);
        }
    }
}

extern "C" __global__ void softmax_grad_rows(
    const REAL* __restrict__ grad, const REAL* __restrict__ y, REAL* __restrict__ grad_x, long long rows, int classes,
    bool logarithm)
{
    const int lane = threadIdx.x % 32;
    const long long warps = (long long)gridDim.x * (blockDim.x / 32);
    for (long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; row < rows; row += warps) {
        const long long first = row * classes;
        REAL total = 0;
        for (int c = lane; c < classes; c += 32) total += logarithm ? grad[first + c] : grad[first + c] * y[first + c];
        total = warp_sum(total);
        for (int c = lane; c < classes; c += 32) {
            const long long at = first + c;
            grad_x[at] = logarithm ? grad[at] - exp(y[at]) * total : y[at] * (grad[at] - total);
        }
    }
}

// ---------------------------------------------------------------------- cross entropy

// Of a line of scores z, less the largest, and total = sum of exp(z):
//
//     loss     = w_y (ln total - z_y) (1 - s) + s / classes * sum of w_c (ln total - z_c)
//     gradient = p_c * sum of q - q_c,    q_c = s / classes * w_c, and (1 - s) w_y more for the label y
//
// with the smoothing s, and weights w of 1 where there are none. A label that does not count gives 0; one that is no
// class gives nan, because nobody looked at the labels, to not wait for the GPU. share is what a label counts in the
// mean. gradient, weight, counts and shares may be null.

struct Line {
    long long label;
    bool counted, wrong;
    REAL own, each;  // what the label's class, and what every class is wanted: the latter times its weight
};

__device__ Line line_of(
    const long long* labels, const bool* counts, const REAL* weight, long long line, int classes, REAL smoothing)
{
    Line of;
    of.counted = !counts || counts[line];
    of.label = of.counted ? labels[line] : 0;
    of.wrong = of.label < 0 || of.label >= classes;
    if (of.wrong) of.label = 0;
    of.own = (1 - smoothing) * (weight ? weight[of.label] : (REAL)1);
    of.each = smoothing / classes;
    return of;
}

__device__ REAL gradient_of(REAL p, REAL wanted, Line of, REAL weight, int c)
{
    if (!of.counted) return 0;
    if (of.wrong) return (REAL)nanf("");
    return p * wanted - of.each * weight - (c == of.label ? of.own : (REAL)0);
}

__device__ void store_loss(
    REAL* losses, REAL* shares, const REAL* weight, long long line, Line of, REAL right, REAL smooth)
{
    losses[line] = !of.counted ? (REAL)0 : of.wrong ? (REAL)nanf("") : of.own * right + of.each * smooth;
    if (shares) shares[line] = !of.counted ? (REAL)0 : weight ? weight[of.label] : (REAL)1;
}

extern "C" __global__ void cross_entropy_lines(
    const REAL* __restrict__ x, const long long* __restrict__ labels, const bool* __restrict__ counts,
    const REAL* __restrict__ weight, REAL* __restrict__ losses, REAL* __restrict__ shares,
    REAL* __restrict__ gradient, long long lines, int classes, long long inner, REAL smoothing)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long line = (long long)blockIdx.x * blockDim.x + threadIdx.x; line < lines; line += threads) {
        const long long first = line / inner * classes * inner + line % inner;
        const Line of = line_of(labels, counts, weight, line, classes, smoothing);
        REAL top = x[first], total = 0, smooth = 0, weights = 0;
        for (int c = 1; c < classes; c++) top = larger(top, x[first + c * inner]);
        for (int c = 0; c < classes; c++) total += exp(x[first + c * inner] - top);
        const REAL log_total = log(total);
        if (of.each != 0)
            for (int c = 0; c < classes; c++) {
                const REAL w = weight ? weight[c] : (REAL)1;
                smooth += w * (log_total - (x[first + c * inner] - top));
                weights += w;
            }
        const REAL right = log_total - (x[first + of.label * inner] - top);
        store_loss(losses, shares, weight, line, of, right, smooth);
        if (!gradient) continue;
        const REAL wanted = of.own + of.each * weights;
        for (int c = 0; c < classes; c++) {
            const REAL p = exp(x[first + c * inner] - top) / total;
            gradient[first + c * inner] = gradient_of(p, wanted, of, weight ? weight[c] : (REAL)1, c);
        }
    }
}

extern "C" __global__ void cross_entropy_rows(
    const REAL* __restrict__ x, const long long* __restrict__ labels, const bool* __restrict__ counts,
    const REAL* __restrict__ weight, REAL* __restrict__ losses, REAL* __restrict__ shares,
    REAL* __restrict__ gradient, long long rows, int classes, REAL smoothing)
{
    const int lane = threadIdx.x % 32;
    const long long warps = (long long)gridDim.x * (blockDim.x / 32);
    for (long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; row < rows; row += warps) {
        const REAL* of_x = x + row * classes;
        const Line of = line_of(labels, counts, weight, row, classes, smoothing);
        REAL top = of_x[0], total = 0, smooth = 0, weights = 0;
        for (int c = lane; c < classes; c += 32) top = larger(top, of_x[c]);
        top = warp_max(top);
        for (int c = lane; c < classes; c += 32) total += exp(of_x[c] - top);
        total = warp_sum(total);
        const REAL log_total = log(total);
        if (of.each != 0) {  // the same for all lanes of a warp, which exchange below
            for (int c = lane; c < classes; c += 32) {
                const REAL w = weight ? weight[c] : (REAL)1;
                smooth += w * (log_total - (of_x[c] - top));
                weights += w;
            }
            smooth = warp_sum(smooth);
            weights = warp_sum(weights);
        }
        if (lane == 0) store_loss(losses, shares, weight, row, of, log_total - (of_x[of.label] - top), smooth);
        if (!gradient) continue;
        const REAL wanted = of.own + of.each * weights;
        for (int c = lane; c < classes; c += 32)
            gradient[row * classes + c] =
                gradient_of(exp(of_x[c] - top) / total, wanted, of, weight ? weight[c] : (REAL)1, c);
    }
}
