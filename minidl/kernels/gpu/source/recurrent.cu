// One step of a recurrent layer, after its products: the gates and the new state, and the way back.
//
// A thread takes one unit u of one sequence n. A row of gates holds blocks of U columns; the products with the input
// fill the first blocks, those with the state the last ones, and where they overlap they are summed:
//
//     LSTM  i | f | g | o        GRU  n | r | z | the state's part of n        RNN  one block
//
// Arrays of a whole sequence come whole: a state that was there before the step `t` lies at `before` along the first axis
// of states and cells, and the one after it at `after`. So a step costs the host one launch and no slices.
//
// Where the mask is false, the state stays as it was and every gradient passes by. A mask that is null is all true.

#define EACH(i, size) \
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (size); i += (long long)gridDim.x * blockDim.x

// The logistic function as a tanh, which cannot overflow.
__device__ REAL sigmoid(REAL x) { return (REAL)0.5 * tanh((REAL)0.5 * x) + (REAL)0.5; }

extern "C" __global__ void lstm_step(
    REAL* __restrict__ gates, const REAL* __restrict__ products, const REAL* __restrict__ bias,
    const bool* __restrict__ mask, REAL* states, REAL* cells, int batch, int units, int t, int before, int after)
{
    const long long U = units, size = batch * U;
    gates += t * 4 * size;
    const REAL *h_before = states + before * size, *c_before = cells + before * size;
    REAL *h_after = states + after * size, *c_after = cells + after * size;
    for (EACH(at, size)) {
        const long long n = at / U, u = at % U, first = n * 4 * U + u;
        REAL* row = gates + first;
        const REAL* z = products + first;
        const REAL i = sigmoid(row[0] + z[0] + bias[u]);
        const REAL f = sigmoid(row[U] + z[U] + bias[U + u]);
        const REAL g = tanh(row[2 * U] + z[2 * U] + bias[2 * U + u]);
        const REAL o = sigmoid(row[3 * U] + z[3 * U] + bias[3 * U + u]);
        row[0] = i;
        row[U] = f;
        row[2 * U] = g;
        row[3 * U] = o;
        const REAL c = f * c_before[at] + i * g;
        const bool present = !mask || mask[(long long)t * batch + n];
        c_after[at] = present ? c : c_before[at];
        h_after[at] = present ? o * tanh(c) : h_before[at];
    }
}

// On entry grad_h holds what the step after gives back through its product, and direct what it gives back unchanged;
// on exit direct holds that of this step, and grad_c is moved on.
extern "C" __global__ void lstm_step_grad(
    const REAL* __restrict__ gates, const REAL* __restrict__ cells, const REAL* __restrict__ grad_output,
    const bool* __restrict__ mask, const REAL* __restrict__ grad_h, REAL* __restrict__ direct,
    REAL* __restrict__ grad_c, REAL* __restrict__ grad_gates, int batch, int units, int t, int before, int after)
{
    const long long U = units, size = batch * U;
    gates += t * 4 * size;
    grad_gates += t * 4 * size;
    grad_output += t * size;
    const REAL *c_before = cells + before * size, *c_after = cells + after * size;
    for (EACH(at, size)) {
        const long long n = at / U, first = n * 4 * U + at % U;
        REAL* grad = grad_gates + first;
        const REAL of_h = grad_h[at] + direct[at] + grad_output[at];
        if (mask && !mask[(long long)t * batch + n]) {
            for (int block = 0; block < 4; block++) grad[block * U] = 0;
            direct[at] = of_h;
            continue;
        }
        const REAL* row = gates + first;
        const REAL i = row[0], f = row[U], g = row[2 * U], o = row[3 * U], tanh_c = tanh(c_after[at]);
        const REAL of_c = grad_c[at] + of_h * o * (1 - tanh_c * tanh_c);
        grad[0] = of_c * g * i * (1 - i);
        grad[U] = of_c * c_before[at] * f * (1 - f);
        grad[2 * U] = of_c * i * (1 - g * g);
        grad[3 * U] = of_h * tanh_c * o * (1 - o);
        grad_c[at] = of_c * f;
        direct[at] = 0;
    }
}

extern "C" __global__ void gru_step(
    REAL* __restrict__ gates, const REAL* __restrict__ products, const REAL* __restrict__ bias,
    const bool* __restrict__ mask, REAL* states, int batch, int units, int t, int before, int after)
{
    const long long U = units, size = batch * U;
    gates += t * 4 * size;
    const REAL* h_before = states + before * size;
    REAL* h_after = states + after * size;
    for (EACH(at, size)) {
        const long long n = at / U, u = at % U;
        REAL* row = gates + n * 4 * U + u;
        const REAL* of_h = products + n * 3 * U + u;  // r | z | n
        const REAL r = sigmoid(row[U] + of_h[0] + bias[U + u]);
        const REAL z = sigmoid(row[2 * U] + of_h[U] + bias[2 * U + u]);
        const REAL n_of_h = of_h[2 * U] + bias[3 * U + u];
        const REAL candidate = tanh(row[0] + bias[u] + r * n_of_h);
        row[0] = candidate;
        row[U] = r;
        row[2 * U] = z;
        row[3 * U] = n_of_h;
        const REAL h = h_before[at];
        h_after[at] = !mask || mask[(long long)t * batch + n] ? candidate + z * (h - candidate) : h;
    }
}

// As for the LSTM; grad_products is the part of grad_gates that the state's weights see, apart, because a matrix
// product wants it in one piece.
extern "C" __global__ void gru_step_grad(
    const REAL* __restrict__ gates, const REAL* __restrict__ states, const REAL* __restrict__ grad_output,
    const bool* __restrict__ mask, const REAL* __restrict__ grad_h, REAL* __restrict__ direct,
    REAL* __restrict__ grad_gates, REAL* __restrict__ grad_products, int batch, int units, int t, int before)
{
    const long long U = units, size = batch * U;
    gates += t * 4 * size;
    grad_gates += t * 4 * size;
    grad_output += t * size;
    const REAL* h_before = states + before * size;
    for (EACH(at, size)) {
        const long long n = at / U, u = at % U;
        REAL* grad = grad_gates + n * 4 * U + u;
        REAL* of_h = grad_products + n * 3 * U + u;
        const REAL total = grad_h[at] + direct[at] + grad_output[at];
        REAL grad_n = 0, grad_r = 0, grad_z = 0, grad_n_of_h = 0, passed = total;
        if (!mask || mask[(long long)t * batch + n]) {
            const REAL* row = gates + n * 4 * U + u;
            const REAL candidate = row[0], r = row[U], z = row[2 * U], n_of_h = row[3 * U];
            grad_n = total * (1 - z) * (1 - candidate * candidate);
            grad_r = grad_n * n_of_h * r * (1 - r);
            grad_z = total * (h_before[at] - candidate) * z * (1 - z);
            grad_n_of_h = grad_n * r;
            passed = total * z;
        }
        grad[0] = grad_n;
        grad[U] = of_h[0] = grad_r;
        grad[2 * U] = of_h[U] = grad_z;
        grad[3 * U] = of_h[2 * U] = grad_n_of_h;
        direct[at] = passed;
    }
}

extern "C" __global__ void rnn_step(
    REAL* __restrict__ gates, const REAL* __restrict__ products, const REAL* __restrict__ bias,
    const bool* __restrict__ mask, REAL* states, int batch, int units, int t, int before, int after, bool rectified)
{
    const long long U = units, size = batch * U;
    gates += t * size;
    const REAL* h_before = states + before * size;
    REAL* h_after = states + after * size;
    for (EACH(at, size)) {
        const REAL z = gates[at] + products[at] + bias[at % U];
        gates[at] = z;
        const REAL h = rectified ? (z < 0 ? (REAL)0 : z) : tanh(z);  // nan is not below 0: it stays
        h_after[at] = !mask || mask[(long long)t * batch + at / U] ? h : h_before[at];
    }
}

extern "C" __global__ void rnn_step_grad(
    const REAL* __restrict__ states, const REAL* __restrict__ grad_output, const bool* __restrict__ mask,
    const REAL* __restrict__ grad_h, REAL* __restrict__ direct, REAL* __restrict__ grad_gates, int batch, int units,
    int t, int after, bool rectified)
{
    const long long U = units, size = batch * U;
    grad_gates += t * size;
    grad_output += t * size;
    const REAL* h_after = states + after * size;
    for (EACH(at, size)) {
        const REAL total = grad_h[at] + direct[at] + grad_output[at], h = h_after[at];
        const bool present = !mask || mask[(long long)t * batch + at / U];
        const REAL grad = rectified ? (h <= 0 ? (REAL)0 : total) : total * (1 - h * h);
        grad_gates[at] = present ? grad : (REAL)0;
        direct[at] = present ? (REAL)0 : total;
    }
}
