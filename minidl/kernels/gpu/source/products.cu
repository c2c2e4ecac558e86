// Matrix products. minidl multiplies by cuBLAS; tiled_matmul is here to be read.

// C = A @ B for A (M, K) and B (K, N), row by row in memory: one thread an element of C, 16 x 16 threads a block.
//
// On its own, each thread would read a row of A and a column of B from the GPU's main memory: 2 K reads for K
// multiplications, and memory is far slower than arithmetic. But the 16 threads of a block's row want the same row of
// A, and the 16 of its column the same column of B. So the block fetches a square of each together, once, into shared
// memory, which is as fast as a cache, and every number fetched is then used 16 times.
#define TILE 16
extern "C" __global__ void __launch_bounds__(TILE * TILE)
tiled_matmul(const REAL* __restrict__ A, const REAL* __restrict__ B, REAL* __restrict__ C, int M, int N, int K)
{
    // Shared memory belongs to the block: what one thread writes here, the other 255 can read.
    __shared__ REAL a[TILE][TILE], b[TILE][TILE];

    // Which element of C is this thread's. x counts columns, since threads next to each other in x run together, and
    // then read and write numbers next to each other: the memory serves 32 such in one go.
    const int tx = threadIdx.x, ty = threadIdx.y;
    const long long row = (long long)blockIdx.y * TILE + ty;
    const long long column = (long long)blockIdx.x * TILE + tx;

    REAL sum = 0;  // in a register, the fastest memory of all
    for (int start = 0; start < K; start += TILE) {
        // Each thread fetches one number of each square. Past the edge of a matrix there is nothing to fetch: 0 adds
        // nothing. Also threads without an element of C take part: the others need what they fetch.
        a[ty][tx] = row < M && start + tx < K ? A[row * K + start + tx] : (REAL)0;
        b[ty][tx] = start + ty < K && column < N ? B[(start + ty) * (long long)N + column] : (REAL)0;

        // Wait until every thread has written. Without this barrier, a thread would multiply numbers of the squares
        // before that its neighbours have not replaced yet.
        __syncthreads();

        // A row of one square times a column of the other. In step i, the threads of a row read the same a[ty][i],
        // which costs one read, and 16 neighbours in b[i], which lie in different banks: all are served at once.
        for (int i = 0; i < TILE; i++) sum += a[ty][i] * b[i][tx];

        // Wait until every thread has read. Without this one, the quickest would fetch the next squares over those
        // that the slower ones still multiply.
        __syncthreads();
    }
    if (row < M && column < N) C[row * N + column] = sum;
}

// y = max(y + bias, 0) for each row of y (N, U), or without the maximum. blockIdx.x is the row.
extern "C" __global__ void finish_rows(REAL* __restrict__ y, const REAL* __restrict__ bias, long long N, int U, bool relu)
{
    for (long long n = blockIdx.x; n < N; n += gridDim.x) {
        for (unsigned u = blockIdx.y * blockDim.x + threadIdx.x; u < U; u += gridDim.y * blockDim.x) {
            const REAL value = y[n * U + u] + bias[u];
            y[n * U + u] = relu && value < 0 ? (REAL)0 : value;  // nan is not below 0: it stays
        }
    }
}
