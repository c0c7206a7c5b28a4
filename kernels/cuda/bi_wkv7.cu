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
// atomics: in the first launch each covers its own half of the tokens and leaves its y and its state in scratch
// memory, in the second it goes on over the other half, finds the other's y there, and stores the two, mixed by the
// gate.
//
// Life of a tile of 16 tokens: its copies to shared memory are started (cp.async from sm_80 on) while the tile before
// it is computed; when that is done, each thread waits for its own copies and turns the w among them into d; then
// comes the one barrier of the tile; then its tokens are computed two by two, while the copies of the next tile go
// into the buffer that the tile before it has left. The `a` of a tile are those of one token later: the sweep over
// the state that makes S_t also sums S_t r_t (y) and S_t a_{t+1}.
//
// DRAM traffic in bytes a token and head, 16-bit tensors: r w k v a b by each direction 2 * 768, y of the first half
// written and read 2 * 256, y 128, gate 2: 2,178. The state does not leave the registers between a half's ends.
//
// Backward. The states of both directions are written before every 16th token, and S a of every token, by the
// `states` kernels. `backward` then goes through the chunks of 16 in the opposite order. From the kept state and S a,
// states are made again by multiplications and additions alone, so that decays of 0 and 1 are as good as others;
// three at a time are in registers. A block of eight warps owns all 64 rows of a (direction, head, sequence), so that
// the gradients that are sums over rows are added up in shared memory, in a fixed order. The directions meet as in
// the forward: what the first launch has summed lies in scratch memory for the second.
//
// DRAM traffic, as above: `states` reads w k v a b 2 * 640 and writes S 2 * 1,024 and S a 2 * 256; `backward` reads
// these 2 * 1,280, its seven inputs 2 * 896, the gate 2 * 2, writes and reads the first launch's sums 2 * 1,540, and
// writes the gradients 770: 12,046. Kept states are read four times, of which caches should serve three.

constexpr int N = 64;
constexpr int TILE = 16;       // tokens in shared memory at a time, and from one kept state to the next
constexpr int KEY_LANES = 8;   // forward: lanes that share a row
constexpr int KEYS = N / KEY_LANES;
constexpr int THREADS = 128;   // of a forward block
constexpr int GROUPS = THREADS / KEY_LANES;
constexpr int SUB = 4;         // backward: tokens whose states are made at a time
constexpr int WARPS = 8;       // of a backward block
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr float MAX_LOG_LOG_DECAY = 80.0f;
constexpr float NO_DECAY = -1e30f;  // a w of which d is 1

enum Type { FLOAT32, BFLOAT16, FLOAT16 };
enum Output { PARTIAL, FUSED, PLAIN };  // y: of the first half, of both directions, of the one direction there is

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

struct Result {  // contiguous (B, T, H, N) or (B, T, H)
    void *data;
    float *partial;  // the sum of the first launch; may be data itself where that is float32
    int type;
    int unused;
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
    int directions, first_direction, output, unused;
};

enum Input { DY, R, W, K, V, A, B, INPUTS };

struct BackwardArguments {
    Tensor inputs[INPUTS], gate;
    Result over_rows[4], dr, dv, dgate;  // the first: dk db da dw, each of them a sum over rows
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

__device__ __forceinline__ void write(void *data, int type, long long index, float x) {
    if (type == FLOAT32) from_float(static_cast<float *>(data) + index, x);
    else if (type == BFLOAT16) from_float(static_cast<bfloat16 *>(data) + index, x);
    else from_float(static_cast<float16 *>(data) + index, x);
}

__device__ __forceinline__ void load4(float (&x)[4], const float *from) {
    float4 y = *reinterpret_cast<const float4 *>(from);
    x[0] = y.x, x[1] = y.y, x[2] = y.z, x[3] = y.w;
}

template <typename T>
__device__ __forceinline__ void load4(float (&x)[4], const T *from) {
    uint2 y = *reinterpret_cast<const uint2 *>(from);
    unsigned words[2] = {y.x, y.y};
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = to_float(T{static_cast<unsigned short>(words[i / 2] >> i % 2 * 16)});
}

__device__ __forceinline__ void store4(float *to, const float (&x)[4]) {
    *reinterpret_cast<float4 *>(to) = float4{x[0], x[1], x[2], x[3]};
}

// The comparisons let a NaN through, which fminf would not.
__device__ __forceinline__ float bounded(float w) { return w > MAX_LOG_LOG_DECAY ? MAX_LOG_LOG_DECAY : w; }
__device__ __forceinline__ float decay(float w) { return expf(-expf(bounded(w))); }
__device__ __forceinline__ float decay_gradient(float w) { return -expf(bounded(w) - expf(bounded(w))); }

// Sums over LANES neighbouring lanes. Of COUNT <= LANES sums each lane gets one: that whose number, in bits, is the
// lane's read backwards. Halving what is sent at each step costs about COUNT shuffles, not COUNT * log2(LANES).
template <int LANES, int COUNT>
__device__ __forceinline__ float distribute(float (&x)[COUNT], int lane) {
    int count = COUNT;
#pragma unroll
    for (int mask = 1; mask < LANES; mask *= 2) {
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
template <int WIDTH, typename T>
__device__ __forceinline__ void stage(
    T *to, const Tensor &x, long long origin, long long first, int step, int count, int filled
) {
    constexpr int WORD = 16 / sizeof(T), WORDS = WIDTH / WORD;
    bool as_it_is = x.vector && x.type == TYPE<T>;
    for (int i = threadIdx.x; i < filled * WORDS; i += THREADS) {
        int token = i / WORDS;
        long long index = origin + (first + step * token) * x.token + i % WORDS * WORD * x.channel;
        T *word = to + i * WORD;
        if (token >= count) *reinterpret_cast<uint4 *>(word) = uint4{0, 0, 0, 0};
        else if (as_it_is) copy_async(word, static_cast<const T *>(x.data) + index);
        else
#pragma unroll 1
            for (int j = 0; j < WORD; ++j) {
                if constexpr (sizeof(T) == 2) word[j] = static_cast<const T *>(x.data)[index + j * x.channel];
                else word[j] = read(x.data, x.type, index + j * x.channel);
            }
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
    // w as it is copied, before it becomes d: in its place where the sizes are the same.
    __device__ __forceinline__ T *raw_w(Tile<T, ROWS> &tile) const {
        return sizeof(T) == sizeof(float) ? reinterpret_cast<T *>(tile.d) : reinterpret_cast<T *>(tiles + 2);
    }

    __device__ __forceinline__ void start(long long i, bool with_r) const {
        Tile<T, ROWS> &tile = tiles[i & 1];
        Stretch x = stretch(i);
        int n = x.count, followed = i + 1 < chunks ? n : n - 1;
        if (with_r) stage<N>(&tile.r[0][0], p.r, origin(p.r), x.first, x.step, n, n);
        stage<N>(raw_w(tile), p.w, origin(p.w), x.first, x.step, n, n);
        stage<N>(&tile.k[0][0], p.k, origin(p.k), x.first, x.step, n, n);
        stage<VALUES>(&tile.v[0][0], p.v, origin(p.v) + value * p.v.channel, x.first, x.step, n, n);
        stage<N>(&tile.next_a[0][0], p.a, origin(p.a), x.first + x.step, x.step, followed, n);
        stage<N>(&tile.b[0][0], p.b, origin(p.b), x.first, x.step, n, n);
    }

    __device__ __forceinline__ void finish(long long i) const {
        constexpr int WORD = 16 / sizeof(T);
        Tile<T, ROWS> &tile = tiles[i & 1];
        const T *w = raw_w(tile);
        int words = stretch(i).count * (N / WORD);
        wait_for_copies();
        for (int word = threadIdx.x; word < words; word += THREADS)  // those that this thread has copied
#pragma unroll
            for (int j = word * WORD; j < (word + 1) * WORD; j += 4) {
                float d[4];
                load4(d, w + j);
#pragma unroll
                for (int n = 0; n < 4; ++n) d[n] = decay(d[n]);
                store4(&tile.d[0][0] + j, d);
            }
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
            if (stores && p.output == FUSED) {
                share = read(p.gate.data, p.gate.type, block.origin(p.gate) + t * p.gate.token);
                other = p.y.partial[at];
            }
            float y[2 * ROWS];
            block.step(tile, token, S, s, y);
            if (token + 1 < count) block.step(tile, token + 1, S, s, y + ROWS);
            else
                for (int j = 0; j < ROWS; ++j) y[ROWS + j] = 0;
            float own = distribute<KEY_LANES>(y, lane);
            if (!stores) continue;
            if (p.output == PARTIAL) p.y.partial[at] = own;
            else if (p.output == PLAIN) write(p.y.data, p.y.type, at, own);
            else {
                float forward = block.direction ? other : own, backward = block.direction ? own : other;
                write(p.y.data, p.y.type, at, share * forward + (1 - share) * backward);
            }
        }
        if (i + 1 < block.chunks) block.finish(i + 1);
#ifndef ARWKV_WITHOUT_A_BARRIER  // by which a test shows that the emulator would miss it
        __syncthreads();
#endif
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

constexpr int VALUE_ROWS = 4, CHUNK_KEYS = 4;         // of a thread
constexpr int ROW_LANES = N / CHUNK_KEYS;             // lanes that share a row
constexpr int SLOTS = 8;                              // sums over rows that wait to be added up

// What the tokens of a chunk need, in the order in which the direction met them. Tokens that are missing in a short
// chunk change neither S nor G: d is 1, all else is 0.
struct Chunk {
    float dy[TILE][N], r[TILE][N], d[TILE][N], k[TILE][N], v[TILE][N], a[TILE][N], b[TILE][N];  // as `Input`
    float s[TILE][N];             // S a; dv once the token is done
    float sums[WARPS][SLOTS][N];  // each warp's part
};

struct Backward {
    const BackwardArguments &p;
    Chunk &chunk;
    int direction, head, batch, lane, warp, row, key;

    __device__ __forceinline__ Backward(const BackwardArguments &p, void *shared)
        : p(p), chunk(*static_cast<Chunk *>(shared)) {
        direction = blockIdx.x % 2;
        head = static_cast<int>(blockIdx.x / 2 % p.heads);
        batch = static_cast<int>(blockIdx.x / 2 / p.heads);
        lane = threadIdx.x % 32;
        warp = threadIdx.x / 32;
        row = (warp * 2 + lane / ROW_LANES) * VALUE_ROWS;
        key = lane % ROW_LANES * CHUNK_KEYS;
    }

    template <typename T>
    __device__ __forceinline__ void fill_from(float *to, const Tensor &x, const Stretch &tokens, bool decays) const {
        constexpr int COPIES = TILE * N / (WARPS * 32);
        const T *from = static_cast<const T *>(x.data) + batch * x.batch + head * x.head + threadIdx.x % N * x.channel;
        float values[COPIES];
#pragma unroll
        for (int i = 0; i < COPIES; ++i) {  // all are on their way before the first is waited for
            int token = i * (TILE / COPIES) + threadIdx.x / N;
            values[i] = decays ? NO_DECAY : 0;
            if (token < tokens.count) values[i] = to_float(from[(tokens.first + tokens.step * token) * x.token]);
        }
#pragma unroll
        for (int i = 0; i < COPIES; ++i) to[i * WARPS * 32 + threadIdx.x] = decays ? decay(values[i]) : values[i];
    }

    __device__ __forceinline__ void fill(float *to, const Tensor &x, const Stretch &tokens, bool decays) const {
        if (x.type == FLOAT32) fill_from<float>(to, x, tokens, decays);
        else if (x.type == BFLOAT16) fill_from<bfloat16>(to, x, tokens, decays);
        else fill_from<float16>(to, x, tokens, decays);
    }

    // The state after the token from the one before it; the sums S a are known, so that rows need not be added up.
    __device__ __forceinline__ void after(
        float (&to)[VALUE_ROWS][CHUNK_KEYS], const float (&S)[VALUE_ROWS][CHUNK_KEYS], int token
    ) const {
        float d[CHUNK_KEYS], k[CHUNK_KEYS], b[CHUNK_KEYS], v[VALUE_ROWS], s[VALUE_ROWS];
        load4(d, &chunk.d[token][key]);
        load4(k, &chunk.k[token][key]);
        load4(b, &chunk.b[token][key]);
        load4(v, &chunk.v[token][row]);
        load4(s, &chunk.s[token][row]);
#pragma unroll
        for (int i = 0; i < VALUE_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) to[i][j] = S[i][j] * d[j] + s[i] * b[j] + v[i] * k[j];
    }

    // Adds the two rows' lanes of the warp and leaves the warp's part of sums over all rows in a slot.
    __device__ __forceinline__ void put(int slot, const float (&x)[CHUNK_KEYS]) const {
        int upper = lane / ROW_LANES;
        float2 part;
        part.x = (upper ? x[2] : x[0]) + __shfl_xor_sync(ALL_LANES, upper ? x[0] : x[2], ROW_LANES);
        part.y = (upper ? x[3] : x[1]) + __shfl_xor_sync(ALL_LANES, upper ? x[1] : x[3], ROW_LANES);
        *reinterpret_cast<float2 *>(&chunk.sums[warp][slot][key + 2 * upper]) = part;
    }

    // The sums of a slot over all warps, in a fixed order: keys 2 * lane and 2 * lane + 1.
    __device__ __forceinline__ float2 add_up(int slot) const {
        float2 total{0, 0};
#pragma unroll
        for (int i = 0; i < WARPS; ++i) {
            float2 part = *reinterpret_cast<const float2 *>(&chunk.sums[i][slot][2 * lane]);
            total.x += part.x;
            total.y += part.y;
        }
        return total;
    }

    __device__ __forceinline__ long long place(const Stretch &tokens, int token) const {  // in a (B, T, H) tensor
        return (batch * p.tokens + tokens.first + tokens.step * token) * p.heads + head;
    }

    __device__ __forceinline__ void store(const Result &to, long long at, float x, float other) const {
        if (p.second) write(to.data, to.type, at, x + other);
        else to.partial[at] = x;
    }

    // G by S_t becomes G by S_{t-1}, which is given as S; the token's parts of the gradients go to four slots.
    __device__ __forceinline__ void step(
        float (&G)[VALUE_ROWS][CHUNK_KEYS], const float (&S)[VALUE_ROWS][CHUNK_KEYS], int token, float share, int slot
    ) const {
        float r[CHUNK_KEYS], k[CHUNK_KEYS], b[CHUNK_KEYS], dy[VALUE_ROWS];
        float ds[VALUE_ROWS] = {}, dv[VALUE_ROWS] = {};
        float dk[CHUNK_KEYS] = {}, db[CHUNK_KEYS] = {}, dd[CHUNK_KEYS] = {}, da[CHUNK_KEYS] = {};
        load4(r, &chunk.r[token][key]);
        load4(k, &chunk.k[token][key]);
        load4(b, &chunk.b[token][key]);
        load4(dy, &chunk.dy[token][row]);
#pragma unroll
        for (int i = 0; i < VALUE_ROWS; ++i) {
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) {
                G[i][j] += dy[i] * share * r[j];
                ds[i] += G[i][j] * b[j];
                dv[i] += G[i][j] * k[j];
            }
        }
        float v[VALUE_ROWS], s[VALUE_ROWS];
        load4(v, &chunk.v[token][row]);
        load4(s, &chunk.s[token][row]);
#pragma unroll
        for (int i = 0; i < VALUE_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) {
                dk[j] += G[i][j] * v[i];
                db[j] += G[i][j] * s[i];
                dd[j] += G[i][j] * S[i][j];
            }
        sum_to_all<ROW_LANES>(ds);
        float d[CHUNK_KEYS], a[CHUNK_KEYS];
        load4(d, &chunk.d[token][key]);
        load4(a, &chunk.a[token][key]);
#pragma unroll
        for (int i = 0; i < VALUE_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) {
                da[j] += S[i][j] * ds[i];
                G[i][j] = G[i][j] * d[j] + ds[i] * a[j];
            }
        put(slot, dk);
        put(slot + 1, db);
        put(slot + 2, da);
        put(slot + 3, dd);
        float one = distribute<ROW_LANES>(dv, lane);
        __syncwarp();  // all lanes of these rows have read s
        if (lane % ROW_LANES < VALUE_ROWS) chunk.s[token][row + (lane & 1) * 2 + (lane >> 1 & 1)] = one;
    }

    // dr and dgate of SUB tokens, while the states before them are made from the first of these. They are sums over the
    // rows of S_t dy_t, here by way of S_{t-1} dy_t, so that the state after the last token need not be made.
    __device__ __forceinline__ void receptance(
        float (&before)[SUB][VALUE_ROWS][CHUNK_KEYS], const Stretch &tokens, int first, float shares
    ) const {
        int token = first + warp;  // whose sums this warp adds up
        bool mine = warp < SUB && token < tokens.count;
        long long at = mine ? place(tokens, token) : 0;
        float2 other{0, 0};
        float other_gate = 0;
        if (mine && p.second) {
            other = float2{p.dr.partial[at * N + 2 * lane], p.dr.partial[at * N + 2 * lane + 1]};
            other_gate = p.dgate.partial[at];
        }
#pragma unroll
        for (int n = 0; n < SUB; ++n) {
            if (n > 0) after(before[n], before[n - 1], first + n - 1);
            float rho[CHUNK_KEYS] = {}, dy[VALUE_ROWS], v[VALUE_ROWS], s[VALUE_ROWS], v_dy = 0, s_dy = 0;
            load4(dy, &chunk.dy[first + n][row]);
            load4(v, &chunk.v[first + n][row]);
            load4(s, &chunk.s[first + n][row]);
#pragma unroll
            for (int i = 0; i < VALUE_ROWS; ++i) {
                v_dy += v[i] * dy[i];
                s_dy += s[i] * dy[i];
#pragma unroll
                for (int j = 0; j < CHUNK_KEYS; ++j) rho[j] += before[n][i][j] * dy[i];
            }
            float d[CHUNK_KEYS], k[CHUNK_KEYS], b[CHUNK_KEYS];
            load4(d, &chunk.d[first + n][key]);
            load4(k, &chunk.k[first + n][key]);
            load4(b, &chunk.b[first + n][key]);
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) rho[j] = rho[j] * d[j] + s_dy * b[j] + v_dy * k[j];
            put(n, rho);
        }
        float share = __shfl_sync(ALL_LANES, shares, token % TILE);
        __syncthreads();
        if (mine) {
            float2 rho = add_up(warp);
            float dgate[1] = {rho.x * chunk.r[token][2 * lane] + rho.y * chunk.r[token][2 * lane + 1]};
            sum_to_all<32>(dgate);
            store(p.dr, at * N + 2 * lane, rho.x * share, other.x);
            store(p.dr, at * N + 2 * lane + 1, rho.y * share, other.y);
            if (lane == 0) store(p.dgate, at, direction ? -dgate[0] : dgate[0], other_gate);
        }
        __syncthreads();
    }

    // Two tokens, the later first; then each warp adds up one of their 2 * 4 gradients.
    __device__ __forceinline__ void two_steps(
        float (&G)[VALUE_ROWS][CHUNK_KEYS], const float (&S)[VALUE_ROWS][CHUNK_KEYS],
        const float (&next_S)[VALUE_ROWS][CHUNK_KEYS], const Stretch &tokens, int first, float shares
    ) const {
        int token = first + warp / 4, which = warp % 4;
        bool mine = token < tokens.count;
        const Result &to = p.over_rows[which];
        long long at = mine ? place(tokens, token) * N + 2 * lane : 0;
        float2 other{0, 0}, factor{1, 1};
        if (mine && p.second) other = float2{to.partial[at], to.partial[at + 1]};
        if (mine && which == 3) {
            const Tensor &w = p.inputs[W];
            long long from = batch * w.batch + head * w.head + (tokens.first + tokens.step * token) * w.token;
            factor.x = decay_gradient(read(w.data, w.type, from + 2 * lane * w.channel));
            factor.y = decay_gradient(read(w.data, w.type, from + (2 * lane + 1) * w.channel));
        }
        step(G, next_S, first + 1, __shfl_sync(ALL_LANES, shares, first + 1), 4);
        step(G, S, first, __shfl_sync(ALL_LANES, shares, first), 0);
        __syncthreads();
        if (mine) {
            float2 x = add_up(warp);
            store(to, at, x.x * factor.x, other.x);
            store(to, at + 1, x.y * factor.y, other.y);
        }
        __syncthreads();
    }

    __device__ __forceinline__ void run() const {
        float G[VALUE_ROWS][CHUNK_KEYS], before[SUB][VALUE_ROWS][CHUNK_KEYS];
        const long long matrix = (direction * p.batch + batch) * p.heads + head;
        const long long begin = p.begin[direction], end = p.end[direction];
        float *carry = p.carry + (matrix * N + row) * N + key;
#pragma unroll
        for (int i = 0; i < VALUE_ROWS; ++i)
#pragma unroll
            for (int j = 0; j < CHUNK_KEYS; ++j) G[i][j] = p.second ? carry[i * N + j] : 0;
        const int low = static_cast<int>(begin / TILE), high = static_cast<int>((end + TILE - 1) / TILE);
        for (int i = low; i < high; ++i) {  // against the direction: the last chunk that it met comes first
            const int c = direction ? i : low + high - 1 - i;
            const Stretch tokens(c, direction, begin, end);
            const Tensor sums{p.sums + matrix * p.tokens * N, 0, N, 0, 1, FLOAT32, 1};
#pragma unroll 1
            for (int j = 0; j < INPUTS; ++j) fill(&chunk.dy[0][0] + j * TILE * N, p.inputs[j], tokens, j == W);
            fill_from<float>(&chunk.s[0][0], sums, tokens, false);
            float shares = 0;  // of the direction in y: a token's is with the lane of its number
            if (lane < tokens.count) {
                long long at = batch * p.gate.batch + head * p.gate.head;
                shares = read(p.gate.data, p.gate.type, at + (tokens.first + tokens.step * lane) * p.gate.token);
                shares = direction ? 1 - shares : shares;
            }
            __syncthreads();
            for (int first = (tokens.count - 1) / SUB * SUB; first >= 0; first -= SUB) {
                const float *kept = p.states + ((matrix * ((p.tokens - 1) / TILE + 1) + c) * N + row) * N + key;
#pragma unroll
                for (int j = 0; j < VALUE_ROWS; ++j) load4(before[0][j], kept + j * N);
                for (int token = 0; token < first; ++token) after(before[0], before[0], token);
                receptance(before, tokens, first, shares);
                two_steps(G, before[2], before[3], tokens, first + 2, shares);
                after(before[1], before[0], first);  // again: its registers were of more use in between
                two_steps(G, before[0], before[1], tokens, first, shares);
            }
#pragma unroll 1
            for (int j = threadIdx.x; j < tokens.count * N; j += WARPS * 32) {
                long long at = place(tokens, j / N) * N + j % N;
                store(p.dv, at, (&chunk.s[0][0])[j], p.second ? p.dv.partial[at] : 0);
            }
            __syncthreads();
        }
        if (!p.second)
#pragma unroll
            for (int i = 0; i < VALUE_ROWS; ++i) store4(carry + i * N, G[i]);
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

extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    bi_wkv7_backward(const __grid_constant__ BackwardArguments arguments) {
    Backward(arguments, shared_memory).run();
}
