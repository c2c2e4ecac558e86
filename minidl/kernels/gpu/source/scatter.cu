// Adding rows at indices, in the order that the reference adds them: no atomics, and the same bits each time.
//
// First the indices are sorted, equal ones by where they stand: a thread counts how many come before its own, which is
// its place. That is work in the square of their number, which a GPU has done for some thousands before a sort by parts
// has started its launches; the caller hands over more than that in portions. Then one thread takes each column of each
// run of equal indices, and walks along the run.

extern "C" __global__ void sort_indices(
    const int* __restrict__ indices, int* __restrict__ sorted, int* __restrict__ order, int count)
{
    const int threads = gridDim.x * blockDim.x;
    for (int m = blockIdx.x * blockDim.x + threadIdx.x; m < count; m += threads) {
        const int own = indices[m];
        int place = 0;
        for (int k = 0; k < count; k++) {
            const int other = indices[k];
            place += other < own || (other == own && k < m);
        }
        sorted[place] = own;
        order[place] = m;
    }
}

extern "C" __global__ void add_runs(
    const REAL* __restrict__ rows, const int* __restrict__ sorted, const int* __restrict__ order,
    REAL* __restrict__ table, int count, long long columns)
{
    const long long threads = (long long)gridDim.x * blockDim.x, size = count * columns;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += threads) {
        const int first = (int)(i / columns), row = sorted[first];
        if (first > 0 && sorted[first - 1] == row) continue;  // not the start of a run
        const long long column = i % columns;
        REAL total = table[row * columns + column];
        for (int k = first; k < count && sorted[k] == row; k++) total += rows[order[k] * columns + column];
        table[row * columns + column] = total;
    }
}
