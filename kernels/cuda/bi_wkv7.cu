// Bi-WKV-7 on CUDA: values, states and gradients. `kernels/reference.py` says what is computed, `cuda_launch.py` how
// it is launched. Needs no headers, so that NVRTC alone compiles it; `tests/cuda_emulator` runs this same text on a
// CPU.
//
// Letters: T tokens, H heads, N = 64 channels a head; r receptance, w log-log decay and d = exp(-exp(w)), k key, v
// value, a removal, b replacement; S the state and G the gradient of the loss by it (rows = value channels, columns =
// keys).
//
// Forward. A block of four warps owns 16 * ROWS rows of the state of one (direction, head, sequence). Rows need
// nothing of each other. The 64 keys of a row lie over 8 lanes, in registers, so that S a costs three shuffles. The
// directions share a kernel: the second walks the same addresses with the opposite sign. They meet without flags or
// atomics: in the first launch each covers its own half of the tokens and leaves its y where the result will be, and
// its state in scratch memory; in the second it goes on over the other half, finds the other's y there, and stores the
// two in its place, mixed by the gate.
//
// Life of a tile of 16 tokens: its copies to shared memory are started (cp.async from sm_80 on) while the tile before
// it is computed; when that is done, each thread waits for its own copies and turns the w among them into d; then
// comes the one barrier of the tile; then its tokens are computed two by two, while the copies of the next tile go
// into the buffer that the tile before it has left. The `a` of a tile are those of one token later: the sweep over
// the state that makes S_t also sums S_t r_t (y) and S_t a_{t+1}.
//
// DRAM traffic in bytes a token and head, 16-bit tensors: r w k v a b by each direction 2 * 768, y of the first half
// written and read 2 * 128, y 128, gate 2: 1,922. The state does not leave the registers between a half's ends. The y
// that is mixed with the other has been rounded to the type of y, as that of the published model has.
//
// Backward. The states of both directions are written before every 16th token, and S a of every token, by the
// `states` kernels. `backward` then goes through the chunks of 16 in the opposite order. A block of eight warps owns
// all 64 rows of a (direction, head, sequence). From the kept state and S a, states are made again by multiplications
// and additions alone, so that decays of 0 and 1 are as good as others; three at a time are in registers. The
// directions meet as in the forward: what the first launch has summed lies in scratch memory for the second.
//
// Some gradients are sums over the keys of a row (dv, and ds = G b, for which the next G waits), others over the rows
// of a column (dr dk db da dw). Either are added up inside a warp, by shuffles, because each tile is swept twice: first
// `rows` has 8 whole rows of G in each warp, then `columns` has 8 whole columns of G and S. Both carry G along, so that
// only ds goes from one to the other, through shared memory.
//
// Life of its tile: copies are started before a sweep, and waited for after it. While the columns of the tile before
// are swept, d dy r k a b come into the one of two buffers that is free; barrier; while the rows are swept, v and S a
// come, which the columns alone need; barrier, which ds needs besides; the columns are swept. Two barriers a tile.
//
// DRAM traffic, as above: `states` reads w k v a b 2 * 640 and writes S 2 * 1,024 and S a 2 * 256; `backward` reads
// these 2 * 1,280, its seven inputs 2 * 896, the gate 2 * 2, writes and reads the first launch's sums 2 * 1,540, and
// writes the gradients 770: 12,046. Kept states are read four times, of which caches should serve three.

constexpr int N = 64;
constexpr int TILE = 16;       // tokens in shared memory at a time, and from one kept state to the next
constexpr int KEY_LANES = 8;   // lanes that share a row
constexpr int KEYS = N / KEY_LANES;
constexpr int THREADS = 128;   // of a forward block
constexpr int GROUPS = THREADS / KEY_LANES;
constexpr int SUB = 4;         // backward: tokens whose states are made at a time
constexpr int WARPS = 8;       // of a backward block
constexpr int BACKWARD_THREADS = WARPS * 32;
constexpr int OWN = N / WARPS;                  // rows, and then columns, of a warp
constexpr int ROW_ROWS = OWN * KEY_LANES / 32;  // of a thread that has KEYS keys of each
constexpr int COLUMN_KEYS = 2, COLUMN_ROWS = N * OWN / 32 / COLUMN_KEYS;  // of a thread, by columns
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr float MAX_LOG_LOG_DECAY = 80.0f;

enum Type { FLOAT32, BFLOAT16, FLOAT16 };

struct bfloat16 { unsigned short bits; };
struct float16 { unsigned short bits; };

template <typename T> constexpr Type TYPE = FLOAT32;
template <> constexpr Type TYPE<bfloat16> = BFLOAT16;
template <> constexpr Type TYPE<float16> = FLOAT16;

struct Tensor {  // (B, T, H, N), or (B, T, H) where the channel's stride does not count; strides in elements
    const void *data;
    long long batch, token, head, channel;
    int type;
    int vector;  // 1: channels are adjacent and every row begins at a multiple of 16 bytes
};

struct Result {  // contiguous (B, T, H, N)
    void *data;
    int type, unused;
};

struct Gradient {  // contiguous (B, T, H, N) or (B, T, H)
    void *data;
    float *partial;  // the sum of the first launch; may be data itself where that is float32
    int type, unused;
};

struct SweepArguments {
    Tensor r, w, k, v, a, b, gate;
    Result y;
    const float *before;  // (directions, B, H, N, N), or null for zeros
    float *after;         // as before, or null
    float *states;        // (directions, B, H, chunks, N, N): before each chunk; of `states` kernels
    float *sums;          // (directions, B, H, T, N): S a of each token; of `states` kernels
    long long tokens, batch, heads;
    long long begin[2], end[2];  // of each direction; tiles and chunks begin at multiples of TILE
    int directions, first_direction;
    int fused, unused;  // 1: y has the other direction's already, and gets both, mixed by the gate
};

enum Input { DY, R, K, A, B, W, V, INPUTS };

struct BackwardArguments {
    Tensor inputs[INPUTS], gate;
    Gradient over_rows[4], dr, dv, dgate;  // the first: dk db da dw, each of them a sum over rows
    const float *states, *sums;  // as written by the `states` kernels
    float *carry;                // (2, B, H, N, N): G from the first launch to the second
    long long tokens, batch, heads;
    long long begin[2], end[2];
    int second, unused;
};

extern __shared__ uint4 shared_memory[];

#ifndef ARWKV_EMULATED
__device__ __forceinline__ float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

__device__ __forceinline__ unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

__device__ __forceinline__ void copy_async(void *to, const void *from) {  // 16 bytes, global to shared
#if __CUDA_ARCH__ >= 800
    asm volatile("{ .reg .u64 s; cvta.to.shared.u64 s, %0; .reg .u32 t; cvt.u32.u64 t, s;\n"
                 "  cp.async.cg.shared.global [t], [%1], 16; }" ::"l"(to), "l"(from) : "memory");
#else
    *static_cast<uint4 *>(to) = *static_cast<const uint4 *>(from);
#endif
}

__device__ __forceinline__ void wait_for_copies() {  // of this thread; others see them after a barrier
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}
#endif

// What depends on the result can't be computed long before, and take registers meanwhile.
__device__ __forceinline__ int just_now(int x) {
    asm volatile("" : "+r"(x));
    return x;
}

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bfloat16 x) { return __uint_as_float(unsigned(x.bits) << 16); }
__device__ __forceinline__ float to_float(float16 x) { return half_to_float(x.bits); }

__device__ __forceinline__ void from_float(float *to, float x) { *to = x; }
__device__ __forceinline__ void from_float(float16 *to, float x) { to->bits = float_to_half(x); }
__device__ __forceinline__ void from_float(bfloat16 *to, float x) {  // to the nearest, ties to even
    unsigned bits = __float_as_uint(x);
    to->bits = x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

__device__ __forceinline__ float read(const void *data, int type, long long index) {
    if (type == FLOAT32) return static_cast<const float *>(data)[index];
    if (type == BFLOAT16) return to_float(static_cast<const bfloat16 *>(data)[index]);
    return to_float(static_cast<const float16 *>(data)[index]);
}

template <typename T>  // T: the tensor's own type, unless it is float, which any can be read as
__device__ __forceinline__ T read_as(const Tensor &x, long long index) {
    if constexpr (sizeof(T) == 2) return static_cast<const T *>(x.data)[index];
    else return read(x.data, x.type, index);
}

__device__ __forceinline__ void write(void *data, int type, long long index, float x) {
    if (type == FLOAT32) from_float(static_cast<float *>(data) + index, x);
    else if (type == BFLOAT16) from_float(static_cast<bfloat16 *>(data) + index, x);
    else from_float(static_cast<float16 *>(data) + index, x);
}

__device__ __forceinline__ void load4(float (&x)[4], const float *from) {
    float4 y = *reinterpret_cast<const float4 *>(from);
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
}

__device__ __forceinline__ void load_word(float (&x)[4], const float *from) { load4(x, from); }

template <typename T, int COUNT>
__device__ __forceinline__ void unpack(float (&x)[COUNT], const unsigned (&words)[COUNT / 2]) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) x[i] = to_float(T{static_cast<unsigned short>(words[i / 2] >> i % 2 * 16)});
}

template <typename T>
__device__ __forceinline__ void load4(float (&x)[4], const T *from) {
    uint2 y = *reinterpret_cast<const uint2 *>(from);
    unpack<T>(x, {y.x, y.y});
}

template <typename T>
__device__ __forceinline__ void load_word(float (&x)[8], const T *from) {
    uint4 y = *reinterpret_cast<const uint4 *>(from);
    unpack<T>(x, {y.x, y.y, y.z, y.w});
}

__device__ __forceinline__ void load2(float (&x)[2], const float *from) {
    float2 y = *reinterpret_cast<const float2 *>(from);
    x[0] = y.x, x[1] = y.y;
}

template <typename T>
__device__ __forceinline__ void load2(float (&x)[2], const T *from) {
    unpack<T>(x, {*reinterpret_cast<const unsigned *>(from)});
}

__device__ __forceinline__ void store4(float *to, const float *x) {
    *reinterpret_cast<float4 *>(to) = float4{x[0], x[1], x[2], x[3]};
}

// The comparisons let a NaN through, which fminf would not.
__device__ __forceinline__ float bounded(float w) { return w > MAX_LOG_LOG_DECAY ? MAX_LOG_LOG_DECAY : w; }
__device__ __forceinline__ float decay(float w) { return expf(-expf(bounded(w))); }
__device__ __forceinline__ float decay_gradient(float w) { return -expf(bounded(w) - expf(bounded(w))); }

// Sums over the lanes whose numbers differ in the bits from FIRST up to, but without, LAST. Of COUNT sums, not more than
// such lanes, each lane gets one: that whose number, in bits, is the lane's read backwards. Halving what is sent at each
// step costs about COUNT shuffles, not COUNT for each bit.
template <int FIRST, int LAST, int COUNT>
__device__ __forceinline__ float distribute(float (&x)[COUNT], int lane) {
    int count = COUNT;
#pragma unroll
    for (int mask = FIRST; mask < LAST; mask *= 2) {
        count = count > 1 ? count / 2 : 0;
#pragma unroll
        for (int i = 0; i < count; ++i) {
            float kept = lane & mask ? x[i + count] : x[i], sent = lane & mask ? x[i] : x[i + count];
            x[i] = kept + __shfl_xor_sync(ALL_LANES, sent, mask);
        }
        if (count == 0) x[0] += __shfl_xor_sync(ALL_LANES, x[0], mask);
    }
    return x[0];
}

template <int LANES, int COUNT>
__device__ __forceinline__ void sum_to_all(float (&x)[COUNT]) {
#pragma unroll
    for (int mask = 1; mask < LANES; mask *= 2)
#pragma unroll
        for (int i = 0; i < COUNT; ++i) x[i] += __shfl_xor_sync(ALL_LANES, x[i], mask);
}

// The tokens of one direction in tile or chunk c, in the order in which it meets them: first, first + step, ...
struct Stretch {
    long long first;
    int step, count;
    __device__ __forceinline__ Stretch(long long c, int direction, long long begin, long long end) {
        long long low = c * TILE > begin ? c * TILE : begin;
        long long high = (c + 1) * TILE < end ? (c + 1) * TILE : end;
        first = direction ? high - 1 : low;
        step = direction ? -1 : 1;
        count = static_cast<int>(high - low);
    }
};


template <typename T, int ROWS>
struct Tile {
    float d[TILE][N];
    T r[TILE][N], k[TILE][N], b[TILE][N], next_a[TILE][N];
    T v[TILE][GROUPS * ROWS];
};

// Starts the copies of a tensor's tokens; those from `count` to `filled` become zero. Rows that can't be copied as they
// are, because of their strides or alignment, or their type where that of shared memory is float, go through registers.
// STRIDE: from a word of 16 bytes to the next, in words.
template <int THREADS, int WIDTH, int STRIDE = 1, typename T>
__device__ __forceinline__ void stage(
    T *to, const Tensor &x, long long origin, long long first, int step, int count, int filled
) {
    constexpr int WORD = 16 / sizeof(T), WORDS = WIDTH / WORD;
    bool as_it_is = x.vector && x.type == TYPE<T>;
    for (int i = just_now(threadIdx.x); i < filled * WORDS; i += THREADS) {
        int token = i / WORDS;
        long long index = origin + (first + step * token) * x.token + i % WORDS * WORD * x.channel;
        T *word = to + i * STRIDE * WORD;
        if (token >= count) *reinterpret_cast<uint4 *>(word) = uint4{0, 0, 0, 0};
        else if (as_it_is) copy_async(word, static_cast<const T *>(x.data) + index);
        else
#pragma unroll 1
            for (int j = 0; j < WORD; ++j) word[j] = read_as<T>(x, index + j * x.channel);
    }
}

// Starts the copies of w to where d will be, each word to the end of the place that its d will take.
template <int THREADS, typename T>
__device__ __forceinline__ void stage_decays(
    float *d, const Tensor &w, long long origin, const Stretch &tokens, int filled
) {
    constexpr int WORD = 16 / sizeof(T);
    T *end = reinterpret_cast<T *>(d + WORD - 4);
    stage<THREADS, N, sizeof(float) / sizeof(T)>(end, w, origin, tokens.first, tokens.step, tokens.count, filled);
}

// Waits for this thread's copies and turns the w that it has copied into d; that of tokens which are missing is 1.
template <int THREADS, typename T>
__device__ __forceinline__ void finish_decays(float *d, int count, int filled) {
    constexpr int WORD = 16 / sizeof(T);
    wait_for_copies();
    for (int i = just_now(threadIdx.x); i < filled * (N / WORD); i += THREADS) {
        float *place = d + i * WORD, x[WORD];
        load_word(x, reinterpret_cast<const T *>(place + WORD - 4));
#pragma unroll
        for (int j = 0; j < WORD; ++j) x[j] = i * WORD / N < count ? decay(x[j]) : 1;
#pragma unroll
        for (int j = 0; j < WORD; j += 4) store4(place + j, x + j);
    }
}

// What a forward block works on, and where its threads stand in it.
template <typename T, int ROWS>
struct Sweep {
    static constexpr int VALUES = GROUPS * ROWS;
    const SweepArguments &p;
    Tile<T, ROWS> *tiles;
    int index, direction, value, row, key;  // the thread's rows: row + i; its keys: key + j and key + j + N / 2, j < 4
    long long head, batch, matrix, begin, end, chunks;

    __device__ __forceinline__ Sweep(const SweepArguments &p, void *shared) : p(p) {
        tiles = static_cast<Tile<T, ROWS> *>(shared);
        long long task = blockIdx.x / (N / VALUES);
        value = blockIdx.x % (N / VALUES) * VALUES;
        row = threadIdx.x / KEY_LANES * ROWS;
        key = threadIdx.x % KEY_LANES * 4;
        index = static_cast<int>(task % p.directions);
        direction = p.first_direction + index;
        head = task / p.directions % p.heads;
        batch = task / p.directions / p.heads;
        matrix = (index * p.batch + batch) * p.heads + head;
        begin = p.begin[direction];
        end = p.end[direction];
        chunks = begin < end ? (end - 1) / TILE - begin / TILE + 1 : 0;
    }

    __device__ __forceinline__ long long chunk(long long i) const {  // the number of the i-th that is met
        return direction ? (end - 1) / TILE - i : begin / TILE + i;
    }
    __device__ __forceinline__ Stretch stretch(long long i) const { return Stretch(chunk(i), direction, begin, end); }
    __device__ __forceinline__ long long origin(const Tensor &x) const { return batch * x.batch + head * x.head; }
    __device__ __forceinline__ int key_of(int j) const { return key + j % 4 + j / 4 * (N / 2); }

    __device__ __forceinline__ void start(long long i, bool with_r) const {
        Tile<T, ROWS> &tile = tiles[i & 1];
        Stretch x = stretch(i);
        int n = x.count, followed = i + 1 < chunks ? n : n - 1;
        if (with_r) stage<THREADS, N>(&tile.r[0][0], p.r, origin(p.r), x.first, x.step, n, n);
        stage_decays<THREADS, T>(&tile.d[0][0], p.w, origin(p.w), x, n);
        stage<THREADS, N>(&tile.k[0][0], p.k, origin(p.k), x.first, x.step, n, n);
        stage<THREADS, VALUES>(&tile.v[0][0], p.v, origin(p.v) + value * p.v.channel, x.first, x.step, n, n);
        stage<THREADS, N>(&tile.next_a[0][0], p.a, origin(p.a), x.first + x.step, x.step, followed, n);
        stage<THREADS, N>(&tile.b[0][0], p.b, origin(p.b), x.first, x.step, n, n);
    }

    __device__ __forceinline__ void finish(long long i) const {
        int n = stretch(i).count;
        finish_decays<THREADS, T>(&tiles[i & 1].d[0][0], n, n);
    }

    // S of the token before, and s = S a, become those of the token; y gets this thread's part of S r.
    __device__ __forceinline__ void step(
        const Tile<T, ROWS> &tile, int token, float (&S)[ROWS][KEYS], float (&s)[ROWS], float *y
    ) const {
        float v[ROWS], next[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; ++i) v[i] = to_float(tile.v[token][row + i]), next[i] = 0, y[i] = 0;
#pragma unroll
        for (int half = 0; half < KEYS; half += 4) {
            float d[4], k[4], b[4], r[4], a[4];
            load4(d, &tile.d[token][key_of(half)]);
            load4(k, &tile.k[token][key_of(half)]);
            load4(b, &tile.b[token][key_of(half)]);
            load4(r, &tile.r[token][key_of(half)]);
            load4(a, &tile.next_a[token][key_of(half)]);
#pragma unroll
            for (int i = 0; i < ROWS; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    float x = S[i][half + j] * d[j] + s[i] * b[j] + v[i] * k[j];
                    S[i][half + j] = x;
                    y[i] += x * r[j];
                    next[i] += x * a[j];
                }
        }
        sum_to_all<KEY_LANES>(next);
#pragma unroll
        for (int i = 0; i < ROWS; ++i) s[i] = next[i];
    }

    __device__ __forceinline__ void load_state(float (&S)[ROWS][KEYS]) const {
#pragma unroll
        for (int i = 0; i < ROWS; ++i)
#pragma unroll
            for (int j = 0; j < KEYS; ++j)
                S[i][j] = p.before ? p.before[(matrix * N + value + row + i) * N + key_of(j)] : 0;
    }

    __device__ __forceinline__ void store_state(float *to, const float (&S)[ROWS][KEYS]) const {
#pragma unroll
        for (int i = 0; i < ROWS; ++i)
#pragma unroll
            for (int j = 0; j < KEYS; ++j) to[(value + row + i) * N + key_of(j)] = S[i][j];
    }

    // S a of the first token, of which no sweep has taken care.
    __device__ __forceinline__ void first_sums(const float (&S)[ROWS][KEYS], float (&s)[ROWS]) const {
        long long at = origin(p.a) + stretch(0).first * p.a.token;
#pragma unroll
        for (int i = 0; i < ROWS; ++i) s[i] = 0;
#pragma unroll
        for (int j = 0; j < KEYS; ++j) {
            float a = read(p.a.data, p.a.type, at + key_of(j) * p.a.channel);
#pragma unroll
            for (int i = 0; i < ROWS; ++i) s[i] += S[i][j] * a;
        }
        sum_to_all<KEY_LANES>(s);
    }
};

template <typename T, int ROWS>
__device__ __forceinline__ void forward(const SweepArguments &p) {
    const Sweep<T, ROWS> block(p, shared_memory);
    // After the sums of two tokens are distributed, this thread has one: of which token and row, or none of its own.
    int lane = threadIdx.x % KEY_LANES, second = lane & 1;
    int row = block.value + block.row + (ROWS == 4 ? (lane >> 1 & 1) * 2 + (lane >> 2) : 0);
    bool owner = ROWS == 4 || lane < 2;

    float S[ROWS][KEYS], s[ROWS];
    block.load_state(S);
    if (block.chunks > 0) block.first_sums(S, s);
    for (long long i = -1; i < block.chunks; ++i) {
        if (i + 1 < block.chunks) block.start(i + 1, true);
        const int count = i < 0 ? 0 : block.stretch(i).count;
        const Tile<T, ROWS> &tile = block.tiles[i & 1];
        for (int token = 0; token < count; token += 2) {
            bool stores = owner && token + second < count;
            const Stretch x = block.stretch(i);
            long long t = x.first + x.step * (token + second);
            long long at = ((block.batch * p.tokens + t) * p.heads + block.head) * N + row;
            float share = 0, other = 0;  // read early: two tokens pass before they are needed
            if (stores && p.fused) {
                share = read(p.gate.data, p.gate.type, block.origin(p.gate) + t * p.gate.token);
                other = read(p.y.data, p.y.type, at);
            }
            float y[2 * ROWS];
            block.step(tile, token, S, s, y);
            if (token + 1 < count) block.step(tile, token + 1, S, s, y + ROWS);
            else
                for (int j = 0; j < ROWS; ++j) y[ROWS + j] = 0;
            float own = distribute<1, KEY_LANES>(y, lane);
            if (!stores) continue;
            if (p.fused) {
                float forward = block.direction ? other : own, backward = block.direction ? own : other;
                own = share * forward + (1 - share) * backward;
            }
            write(p.y.data, p.y.type, at, own);
        }
        if (i + 1 < block.chunks) block.finish(i + 1);
        __syncthreads();
    }
    if (p.after) block.store_state(p.after + block.matrix * N * N, S);
}

// The states before each chunk and S a of every token, for `backward`.
template <typename T>
__device__ __forceinline__ void keep_states(const SweepArguments &p) {
    constexpr int ROWS = 4;
    const Sweep<T, ROWS> block(p, shared_memory);
    float S[ROWS][KEYS], s[ROWS], y[ROWS];
    block.load_state(S);
    block.first_sums(S, s);
    for (long long i = -1; i < block.chunks; ++i) {
        if (i + 1 < block.chunks) block.start(i + 1, false);
        const int count = i < 0 ? 0 : block.stretch(i).count;
        if (i >= 0) block.store_state(p.states + (block.matrix * block.chunks + block.chunk(i)) * N * N, S);
        for (int token = 0; token < count; ++token) {
            const Stretch x = block.stretch(i);
            float *sums = p.sums + (block.matrix * p.tokens + x.first + x.step * token) * N + block.row;
            if (threadIdx.x % KEY_LANES == 0) store4(sums, s);
            block.step(block.tiles[i & 1], token, S, s, y);
        }
        if (i + 1 < block.chunks) block.finish(i + 1);
        __syncthreads();
    }
}

// A tile of the backward, in the order in which the direction met its tokens. Tokens that are missing in a short one
// change neither S nor G: d is 1, all else is 0.
template <typename T>
struct Inputs {
    float d[TILE][N];
    T dy[TILE][N], r[TILE][N], k[TILE][N], a[TILE][N], b[TILE][N];  // as `Input` has them
};

template <typename T>
struct BackwardShared {
    Inputs<T> inputs[2];
    T v[TILE][N];
    float s[TILE][N];          // S a
    float ds[TILE][N];         // G b, from those who have rows to those who have columns
    float share[2][TILE];      // of the direction in y
    float dgate[WARPS][TILE];  // each warp's part
};

template <typename T>
struct Backward {
    const BackwardArguments &p;
    BackwardShared<T> &shared;
    int direction, head, batch, lane, warp, low, high;

    __device__ __forceinline__ Backward(const BackwardArguments &p, void *memory)
        : p(p), shared(*static_cast<BackwardShared<T> *>(memory)) {
        direction = blockIdx.x % 2;
        head = static_cast<int>(blockIdx.x / 2 % p.heads);
        batch = static_cast<int>(blockIdx.x / 2 / p.heads);
        lane = threadIdx.x % 32;
        warp = threadIdx.x / 32;
        low = static_cast<int>(p.begin[direction] / TILE);
        high = static_cast<int>((p.end[direction] + TILE - 1) / TILE);
    }

    // By rows: a thread has rows row() and the one after, and keys row_key(j) of them.
    __device__ __forceinline__ int row() const { return warp * OWN + lane / KEY_LANES * ROW_ROWS; }
    __device__ __forceinline__ int row_key(int j) const { return lane % KEY_LANES * 4 + j % 4 + j / 4 * (N / 2); }
    // By columns: it has keys column() and the one after, and rows column_row(i) of them.
    __device__ __forceinline__ int column() const { return warp * OWN + lane % (OWN / COLUMN_KEYS) * COLUMN_KEYS; }
    __device__ __forceinline__ int column_row(int i) const {
        return lane / (OWN / COLUMN_KEYS) * 4 + i % 4 + i / 4 * (N / 2);
    }

    // Against the direction: the last chunk that it met comes first.
    __device__ __forceinline__ int chunk(int i) const { return direction ? low + i : high - 1 - i; }
    __device__ __forceinline__ Stretch stretch(int i) const {
        return Stretch(chunk(i), direction, p.begin[direction], p.end[direction]);
    }
    __device__ __forceinline__ long long matrix() const { return (direction * p.batch + batch) * p.heads + head; }
    __device__ __forceinline__ long long origin(const Tensor &x) const { return batch * x.batch + head * x.head; }
    __device__ __forceinline__ long long place(const Stretch &tokens, int token) const {  // in a (B, T, H) tensor
        return (batch * p.tokens + tokens.first + tokens.step * token) * p.heads + head;
    }

    __device__ __forceinline__ void store(const Gradient &to, long long at, float x, float other) const {
        if (p.second) write(to.data, to.type, at, x + other);
        else to.partial[at] = x;
    }

    // The share of the direction in y, of the token that has the number of the thread.
    __device__ __forceinline__ float read_share(const Stretch &tokens) const {
        if (threadIdx.x >= tokens.count) return 0;
        long long token = tokens.first + tokens.step * static_cast<int>(threadIdx.x);
        float share = read(p.gate.data, p.gate.type, origin(p.gate) + token * p.gate.token);
        return direction ? 1 - share : share;
    }

    __device__ __forceinline__ void stage_input(T *to, int name, const Stretch &tokens) const {
        const Tensor &x = p.inputs[name];
        stage<BACKWARD_THREADS, N>(to, x, origin(x), tokens.first, tokens.step, tokens.count, TILE);
    }

    // What both sweeps of a tile need; gives this thread's share, which is on its way as the copies are.
    __device__ __forceinline__ float start_inputs(int i) const {
        Inputs<T> &to = shared.inputs[i & 1];
        const Stretch tokens = stretch(i);
        stage_decays<BACKWARD_THREADS, T>(&to.d[0][0], p.inputs[W], origin(p.inputs[W]), tokens, TILE);
#pragma unroll 1
        for (int j = DY; j <= B; ++j) stage_input(&to.dy[0][0] + j * TILE * N, j, tokens);
        return read_share(tokens);
    }

    __device__ __forceinline__ void finish_inputs(int i, float share) const {
        if (threadIdx.x < TILE) shared.share[i & 1][threadIdx.x] = share;
        finish_decays<BACKWARD_THREADS, T>(&shared.inputs[i & 1].d[0][0], stretch(i).count, TILE);
    }

    // What only the sweep over columns needs.
    __device__ __forceinline__ void start_values(const Stretch &tokens) const {
        const Tensor sums{p.sums + matrix() * p.tokens * N, 0, N, 0, 1, FLOAT32, 1};
        stage_input(&shared.v[0][0], V, tokens);
        stage<BACKWARD_THREADS, N>(&shared.s[0][0], sums, 0, tokens.first, tokens.step, tokens.count, TILE);
    }

    // By rows. G by the state after the last token of the tile becomes G by the one before its first. Leaves ds for the
    // sums over columns, and dv in memory: both are sums over the keys of a row, which lie in one warp.
    __device__ __forceinline__ void rows(
        float (&G)[ROW_ROWS][KEYS], const Inputs<T> &x, const Stretch &tokens, const float *shares
    ) const {
#pragma unroll 1
        for (int first = (tokens.count - 1) / SUB * SUB; first >= 0; first -= SUB) {
            // After the sums of four tokens are distributed, this thread has one: of which token and row.
            const int mine = first + (lane & 1) * 2 + (lane >> 1 & 1);
            const bool stores = mine < tokens.count;
            const long long at = stores ? place(tokens, mine) * N + row() + (lane >> 2 & 1) : 0;
            const float other = stores && p.second ? p.dv.partial[at] : 0;
            float dv[SUB * ROW_ROWS];
#pragma unroll
            for (int n = SUB - 1; n >= 0; --n) {
                const int token = first + n;
                const float share = shares[token];
                float dy[ROW_ROWS], ds[ROW_ROWS];
                load2(dy, &x.dy[token][row()]);
#pragma unroll
                for (int i = 0; i < ROW_ROWS; ++i) dy[i] *= share, ds[i] = 0, dv[n * ROW_ROWS + i] = 0;
#pragma unroll
                for (int half = 0; half < KEYS; half += 4) {
                    float r[4], k[4], b[4];
                    load4(r, &x.r[token][row_key(half)]);
                    load4(k, &x.k[token][row_key(half)]);
                    load4(b, &x.b[token][row_key(half)]);
#pragma unroll
                    for (int i = 0; i < ROW_ROWS; ++i)
#pragma unroll
                        for (int j = 0; j < 4; ++j) {
                            G[i][half + j] += dy[i] * r[j];
                            ds[i] += G[i][half + j] * b[j];
                            dv[n * ROW_ROWS + i] += G[i][half + j] * k[j];
                        }
                }
                sum_to_all<KEY_LANES>(ds);
#pragma unroll
                for (int half = 0; half < KEYS; half += 4) {
                    float d[4], a[4];
                    load4(d, &x.d[token][row_key(half)]);
                    load4(a, &x.a[token][row_key(half)]);
#pragma unroll
                    for (int i = 0; i < ROW_ROWS; ++i)
#pragma unroll
                        for (int j = 0; j < 4; ++j) G[i][half + j] = G[i][half + j] * d[j] + ds[i] * a[j];
                }
                if (lane % KEY_LANES == 0)
                    *reinterpret_cast<float2 *>(&shared.ds[token][row()]) = float2{ds[0], ds[1]};
            }
            const float one = distribute<1, KEY_LANES>(dv, lane);
            if (stores) store(p.dv, at, one, other);
        }
    }

    // By columns. The state after the token from the one before it; S a is known, so that no row need be added up.
    __device__ __forceinline__ void after(
        float (&to)[COLUMN_ROWS][COLUMN_KEYS], const float (&S)[COLUMN_ROWS][COLUMN_KEYS], const Inputs<T> &x, int token
    ) const {
        float d[COLUMN_KEYS], k[COLUMN_KEYS], b[COLUMN_KEYS];
        load2(d, &x.d[token][column()]);
        load2(k, &x.k[token][column()]);
        load2(b, &x.b[token][column()]);
#pragma unroll
        for (int half = 0; half < COLUMN_ROWS; half += 4) {
            float v[4], s[4];
            load4(v, &shared.v[token][column_row(half)]);
            load4(s, &shared.s[token][column_row(half)]);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < COLUMN_KEYS; ++j)
                    to[half + i][j] = S[half + i][j] * d[j] + s[i] * b[j] + v[i] * k[j];
        }
    }

    // This thread's part of S dy, over the rows of its columns.
    __device__ __forceinline__ void times_dy(
        float *sums, const float (&S)[COLUMN_ROWS][COLUMN_KEYS], const Inputs<T> &x, int token
    ) const {
#pragma unroll
        for (int j = 0; j < COLUMN_KEYS; ++j) sums[j] = 0;
#pragma unroll
        for (int half = 0; half < COLUMN_ROWS; half += 4) {
            float dy[4];
            load4(dy, &x.dy[token][column_row(half)]);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < COLUMN_KEYS; ++j) sums[j] += S[half + i][j] * dy[i];
        }
    }

    // The states before SUB tokens, from that before the first, and on the way dr and the warp's part of dgate: sums
    // over the rows of S_t dy_t.
    __device__ __forceinline__ void states(
        float (&before)[SUB][COLUMN_ROWS][COLUMN_KEYS], const Inputs<T> &x, const Stretch &tokens, int first,
        const float *shares
    ) const {
        const int mine = first + (lane >> 2 & 1) * 2 + (lane >> 3 & 1), key = column() + (lane >> 4);
        const bool stores = mine < tokens.count;
        const long long at = stores ? place(tokens, mine) * N + key : 0;
        const float other = stores && p.second ? p.dr.partial[at] : 0;
        float sums[SUB * COLUMN_KEYS];
#pragma unroll
        for (int n = 0; n + 1 < SUB; ++n) {
            after(before[n + 1], before[n], x, first + n);
            times_dy(sums + n * COLUMN_KEYS, before[n + 1], x, first + n);
        }
        // Of the last by way of the state before it, so that the one after it need not be made.
        const int last = first + SUB - 1;
        float *own = sums + (SUB - 1) * COLUMN_KEYS, v_dy = 0, s_dy = 0;
        times_dy(own, before[SUB - 1], x, last);
#pragma unroll
        for (int half = 0; half < COLUMN_ROWS; half += 4) {
            float dy[4], v[4], s[4];
            load4(dy, &x.dy[last][column_row(half)]);
            load4(v, &shared.v[last][column_row(half)]);
            load4(s, &shared.s[last][column_row(half)]);
#pragma unroll
            for (int i = 0; i < 4; ++i) v_dy += v[i] * dy[i], s_dy += s[i] * dy[i];
        }
        float d[COLUMN_KEYS], k[COLUMN_KEYS], b[COLUMN_KEYS];
        load2(d, &x.d[last][column()]);
        load2(k, &x.k[last][column()]);
        load2(b, &x.b[last][column()]);
#pragma unroll
        for (int j = 0; j < COLUMN_KEYS; ++j) own[j] = own[j] * d[j] + s_dy * b[j] + v_dy * k[j];

        const float sum = distribute<4, 32>(sums, lane), share = shares[mine];
        if (stores) store(p.dr, at, sum * share, other);
        float dgate = sum * to_float(x.r[mine][key]);
        dgate += __shfl_xor_sync(ALL_LANES, dgate, 1);
        dgate += __shfl_xor_sync(ALL_LANES, dgate, 2);
        dgate += __shfl_xor_sync(ALL_LANES, dgate, 16);
        if ((lane & 19) == 0) shared.dgate[warp][mine] = dgate;
    }

    // By columns. G by S_t becomes G by S_{t-1}, which is given as S; dk db da dw of the token are sums over the rows
    // of a column, which lie in one warp.
    __device__ __forceinline__ void column_sums(
        float (&G)[COLUMN_ROWS][COLUMN_KEYS], const float (&S)[COLUMN_ROWS][COLUMN_KEYS], const Inputs<T> &x,
        const Stretch &tokens, int token, const float *shares
    ) const {
        const float share = shares[token];
        float r[COLUMN_KEYS], d[COLUMN_KEYS], a[COLUMN_KEYS], sums[4 * COLUMN_KEYS] = {};
        load2(r, &x.r[token][column()]);
        load2(d, &x.d[token][column()]);
        load2(a, &x.a[token][column()]);
#pragma unroll
        for (int j = 0; j < COLUMN_KEYS; ++j) r[j] *= share;
#pragma unroll
        for (int half = 0; half < COLUMN_ROWS; half += 4) {
            float dy[4], v[4], s[4], ds[4];
            load4(dy, &x.dy[token][column_row(half)]);
            load4(v, &shared.v[token][column_row(half)]);
            load4(s, &shared.s[token][column_row(half)]);
            load4(ds, &shared.ds[token][column_row(half)]);
#pragma unroll
            for (int i = 0; i < 4; ++i)
#pragma unroll
                for (int j = 0; j < COLUMN_KEYS; ++j) {
                    float &g = G[half + i][j];
                    g += dy[i] * r[j];
                    sums[j] += g * v[i];
                    sums[COLUMN_KEYS + j] += g * s[i];
                    sums[2 * COLUMN_KEYS + j] += S[half + i][j] * ds[i];
                    sums[3 * COLUMN_KEYS + j] += S[half + i][j] * g;
                    g = g * d[j] + ds[i] * a[j];
                }
        }
        // After the sums are distributed, this thread has one: of which gradient and key.
        const int which = (lane >> 2 & 1) * 2 + (lane >> 3 & 1), key = column() + (lane >> 4);
        const Gradient &to = p.over_rows[which];
        const bool stores = token < tokens.count;
        const long long at = stores ? place(tokens, token) * N + key : 0;
        const float other = stores && p.second ? to.partial[at] : 0;
        float w = 0;
        if (stores && which == 3) {
            long long t = tokens.first + tokens.step * token;
const Tensor &from = p.inputs[W];
            w = to_float(read_as<T>(from, origin(from) + t * from.token + key * from.channel));
        }
        const float sum = distribute<4, 32>(sums, lane);
        if (stores) store(to, at, which == 3 ? sum * decay_gradient(w) : sum, other);
    }

    __device__ __forceinline__ void columns(
        float (&G)[COLUMN_ROWS][COLUMN_KEYS], const Inputs<T> &x, const Stretch &tokens, int c, const float *shares
    ) const {
        const float *kept = p.states + (matrix() * ((p.tokens - 1) / TILE + 1) + c) * (N * N) + column();
#pragma unroll 1
        for (int first = (tokens.count - 1) / SUB * SUB; first >= 0; first -= SUB) {
            float before[SUB][COLUMN_ROWS][COLUMN_KEYS];
#pragma unroll
            for (int i = 0; i < COLUMN_ROWS; ++i) load2(before[0][i], kept + column_row(i) * N);
#pragma unroll 1
            for (int token = 0; token < first; ++token) after(before[0], before[0], x, token);
            states(before, x, tokens, first, shares);
            column_sums(G, before[3], x, tokens, first + 3, shares);
            column_sums(G, before[2], x, tokens, first + 2, shares);
            after(before[1], before[0], x, first);  // again: its registers were of more use in between
            column_sums(G, before[1], x, tokens, first + 1, shares);
            column_sums(G, before[0], x, tokens, first, shares);
        }
    }

    // The warps' parts of dgate, in a fixed order.
    __device__ __forceinline__ void store_dgate(const Stretch &tokens) const {
        if (threadIdx.x >= tokens.count) return;
        long long at = place(tokens, threadIdx.x);
        float other = p.second ? p.dgate.partial[at] : 0, sum = 0;
#pragma unroll
        for (int i = 0; i < WARPS; ++i) sum += shared.dgate[i][threadIdx.x];
        store(p.dgate, at, direction ? -sum : sum, other);
    }

    __device__ __forceinline__ void run() const {
        if (low < high) {
            finish_inputs(0, start_inputs(0));
            __syncthreads();
        }
        float row_G[ROW_ROWS][KEYS], column_G[COLUMN_ROWS][COLUMN_KEYS];
        float *carry = p.carry + matrix() * N * N;
#pragma unroll
        for (int i = 0; i < ROW_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < KEYS; ++j) row_G[i][j] = p.second ? carry[(row() + i) * N + row_key(j)] : 0;
#pragma unroll
        for (int i = 0; i < COLUMN_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < COLUMN_KEYS; ++j)
                column_G[i][j] = p.second ? carry[column_row(i) * N + column() + j] : 0;
        for (int i = 0; i < high - low; ++i) {
            const Inputs<T> &x = shared.inputs[i & 1];
            const float *share = shared.share[i & 1];
            start_values(stretch(i));
            if (i > 0) store_dgate(stretch(i - 1));
            rows(row_G, x, stretch(i), share);
            wait_for_copies();
            __syncthreads();
            float next_share = 0;
            if (i + 1 < high - low) next_share = start_inputs(i + 1);
            columns(column_G, x, stretch(i), chunk(i), share);
            if (i + 1 < high - low) finish_inputs(i + 1, next_share);
            __syncthreads();
        }
        if (low < high) store_dgate(stretch(high - low - 1));
        if (!p.second)
#pragma unroll
            for (int i = 0; i < ROW_ROWS; ++i)
#pragma unroll
                for (int j = 0; j < KEYS; ++j) carry[(row() + i) * N + row_key(j)] = row_G[i][j];
    }
};

// The least number of blocks a multiprocessor says how many registers a thread may have: 128, enough to spill none.
#define FORWARD(NAME, T, ROWS)                                                                                       \
    extern "C" __global__ void __launch_bounds__(THREADS, 4) NAME(const __grid_constant__ SweepArguments arguments) { \
        forward<T, ROWS>(arguments);                                                                                 \
    }
#define KEEP_STATES(NAME, T)                                                                                         \
    extern "C" __global__ void __launch_bounds__(THREADS, 4) NAME(const __grid_constant__ SweepArguments arguments) { \
        keep_states<T>(arguments);                                                                                   \
    }
#define BACKWARD(NAME, T)                                                                    \
    extern "C" __global__ void __launch_bounds__(BACKWARD_THREADS, 2)                        \
        NAME(const __grid_constant__ BackwardArguments arguments) {                          \
        Backward<T>(arguments, shared_memory).run();                                         \
    }

// Wide blocks, of all 64 rows, use shared memory best; narrow ones, of 16, keep more multiprocessors busy.
FORWARD(bi_wkv7_forward_f32, float, 4)
FORWARD(bi_wkv7_forward_bf16, bfloat16, 4)
FORWARD(bi_wkv7_forward_f16, float16, 4)
FORWARD(bi_wkv7_forward_narrow_f32, float, 1)
FORWARD(bi_wkv7_forward_narrow_bf16, bfloat16, 1)
FORWARD(bi_wkv7_forward_narrow_f16, float16, 1)
KEEP_STATES(bi_wkv7_states_f32, float)
KEEP_STATES(bi_wkv7_states_bf16, bfloat16)
KEEP_STATES(bi_wkv7_states_f16, float16)
BACKWARD(bi_wkv7_backward_f32, float)
BACKWARD(bi_wkv7_backward_bf16, bfloat16)
BACKWARD(bi_wkv7_backward_f16, float16)
