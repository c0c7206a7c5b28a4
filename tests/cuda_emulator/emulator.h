// Threads, blocks, shared memory and barriers of CUDA on a CPU, for kernels whose source is included after this file.
//
// Every thread is a fibre with a stack of its own; blocks run one after the other. A fibre runs until it has to wait for
// others: at a shuffle or __syncwarp for the rest of its warp, at __syncthreads for the rest of the block. Which warp goes
// on, in which order its lanes do, the order of the blocks, and whether an asynchronous copy is done at once or not before
// it is waited for, all depend on a seed: a result that depends on the seed betrays a race. Lanes that wait at different
// places, and barriers that not all threads reach, are errors. Shared memory is filled with NaN before each block and
// guarded behind its end.

#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include <memory>
#include <utility>
#include <vector>

#define ARWKV_EMULATED
#define __device__
#define __global__
#define __shared__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct uint3 { unsigned x, y, z; };

uint3 threadIdx, blockIdx, blockDim, gridDim;  // of the fibre that runs

constexpr size_t MOST_SHARED_BYTES = 227 * 1024, STACK_BYTES = 33 * 1088;
constexpr int WARP_LANES = 32, MOST_THREADS = 1024;
constexpr unsigned char GUARD = 0xa5;
uint4 shared_memory[MOST_SHARED_BYTES / sizeof(uint4)];

enum class Wait { NOTHING, WARP, BLOCK, END };

struct Copy { void *to; const void *from; };

struct Fibre {
    ucontext_t context;
    jmp_buf place;
    uint3 index;
    Wait wait;
    int line;  // of the kernel's source, where it waits
    unsigned meetings;
    bool started;
    std::vector<Copy> copies;
};

struct Emulator {
    std::vector<Fibre> fibres{MOST_THREADS};
    std::unique_ptr<char[]> stacks{new char[MOST_THREADS * STACK_BYTES]};
    unsigned exchanged[MOST_THREADS / WARP_LANES][2][WARP_LANES];
    ucontext_t context;
    jmp_buf place;
    int current, threads;
    unsigned long long random;
    const char *problem;
    void (*kernel)(const void *);
    const void *arguments;

    unsigned draw() {  // xorshift
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return static_cast<unsigned>(random >> 20);
    }

    Fibre &fibre() { return fibres[current]; }

    void pause(Wait wait, int line) {
        fibre().wait = wait;
        fibre().line = line;
        if (_setjmp(fibre().place) == 0) _longjmp(place, 1);
    }

    void resume(int thread) {
        current = thread;
        threadIdx = fibre().index;
        if (_setjmp(place)) return;
        if (fibre().started) _longjmp(fibre().place, 1);
        fibre().started = true;
        setcontext(&fibre().context);
    }

    void run_block(size_t shared_bytes);
    bool run_warp(int warp);
};

Emulator emulator;

void fibre_main() {
    emulator.kernel(emulator.arguments);
    if (!emulator.fibre().copies.empty()) emulator.problem = "ends with asynchronous copies that it has not waited for";
    emulator.pause(Wait::END, 0);
}

// Each lane of a warp, in some order, up to where it waits next.
bool Emulator::run_warp(int warp) {
    unsigned offset = draw(), stride = draw() | 1;
    const Fibre &one = fibres[warp * WARP_LANES + offset % WARP_LANES];  // the first to run
    for (unsigned i = 0; i < WARP_LANES; ++i) {
        resume(warp * WARP_LANES + (i * stride + offset) % WARP_LANES);
        if (fibre().wait == one.wait && fibre().line == one.line) continue;
        problem = "has lanes of a warp that wait at different places";
        return false;
    }
    return one.wait == Wait::WARP;
}

void Emulator::run_block(size_t shared_bytes) {
    memset(shared_memory, 0xff, shared_bytes);  // NaN in every type
    memset(reinterpret_cast<char *>(shared_memory) + shared_bytes, GUARD, sizeof(shared_memory) - shared_bytes);
    for (int i = 0; i < threads; ++i) {
        Fibre &x = fibres[i];
        unsigned n = i;
        x.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
        x.context = context;
        x.context.uc_stack.ss_sp = stacks.get() + i * STACK_BYTES;
        x.context.uc_stack.ss_size = STACK_BYTES;
        x.started = false;
        x.wait = Wait::NOTHING;
        x.meetings = 0;
        x.copies.clear();
        makecontext(&x.context, fibre_main, 0);
    }
    std::vector<int> ready, waiting;
    for (int i = 0; i < threads / WARP_LANES; ++i) ready.push_back(i);
    while (!ready.empty() && !problem) {
        size_t chosen = draw() % ready.size();
        if (run_warp(ready[chosen])) continue;
        waiting.push_back(ready[chosen]);
        ready.erase(ready.begin() + chosen);
        if (!ready.empty()) continue;
        const Fibre &one = fibres[0];
        for (int warp : waiting)
            if (fibres[warp * WARP_LANES].wait != one.wait || fibres[warp * WARP_LANES].line != one.line)
                problem = "has warps that wait at different barriers, or have ended, while others wait";
        if (one.wait == Wait::BLOCK) ready.swap(waiting);
    }
    for (size_t i = shared_bytes; i < sizeof(shared_memory) && !problem; ++i)
        if (reinterpret_cast<unsigned char *>(shared_memory)[i] != GUARD) problem = "writes behind its shared memory";
}

inline void __syncthreads(int line = __builtin_LINE()) { emulator.pause(Wait::BLOCK, line); }
inline void __syncwarp(int line = __builtin_LINE()) { emulator.pause(Wait::WARP, line); }

inline unsigned exchange(unsigned x, int source, int line) {
    int thread = emulator.current, warp = thread / WARP_LANES;
    // Two slots in turns: a slot is written again only when all lanes have met once more, so have read it.
    unsigned *slot = emulator.exchanged[warp][emulator.fibre().meetings++ % 2];
    slot[thread % WARP_LANES] = x;
    emulator.pause(Wait::WARP, line);
    return slot[source];
}

inline unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

inline float __shfl_xor_sync(unsigned lanes, float x, int mask, int line = __builtin_LINE()) {
    if (lanes != 0xffffffffu) emulator.problem = "shuffles among some lanes only, which is not emulated";
    return __uint_as_float(exchange(__float_as_uint(x), (emulator.current % WARP_LANES) ^ mask, line));
}

inline float __shfl_sync(unsigned lanes, float x, int source, int line = __builtin_LINE()) {
    if (lanes != 0xffffffffu) emulator.problem = "shuffles among some lanes only, which is not emulated";
    return __uint_as_float(exchange(__float_as_uint(x), source % WARP_LANES, line));
}

inline void copy_async(void *to, const void *from) {
    if (reinterpret_cast<size_t>(to) % 16 || reinterpret_cast<size_t>(from) % 16)
        emulator.problem = "copies 16 bytes from or to where they can't begin";
    else if (emulator.draw() % 2) memcpy(to, from, 16);
    else emulator.fibre().copies.push_back({to, from});
}

inline void wait_for_copies() {
    for (const Copy &x : emulator.fibre().copies) memcpy(x.to, x.from, 16);
    emulator.fibre().copies.clear();
}

inline float half_to_float(unsigned short bits) {
    unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
    float x = exponent == 0 ? ldexpf(fraction, -24) : ldexpf(1024 + fraction, static_cast<int>(exponent) - 25);
    if (exponent == 31) x = fraction ? NAN : INFINITY;
    return bits & 0x8000 ? -x : x;
}

inline unsigned short float_to_half(float x) {  // to the nearest, ties to even, as the mode of nearbyintf is
    unsigned short sign = signbit(x) ? 0x8000 : 0;
    float size = fabsf(x);
    if (size != size) return 0x7fff;
    int exponent = size < 0x1p-14f ? -14 : size > 65536.0f ? 16 : ilogbf(size);
    float fraction = nearbyintf(ldexpf(size, 10 - exponent));  // 1024 .. 2048, below that for the smallest
    if (exponent >= 16 || (exponent == 15 && fraction == 2048)) return sign | 0x7c00;
    return sign | static_cast<unsigned short>((exponent + 14) * 1024 + static_cast<int>(fraction));
}

struct Kernel {
    const char *name;
    size_t bytes;
    void (*start)(const void *);
};

template <typename Arguments>
constexpr size_t bytes_of(void (*)(Arguments)) { return sizeof(Arguments); }

template <typename Arguments>
void call(void (*kernel)(Arguments), const void *arguments) {
    kernel(*static_cast<const std::remove_const_t<Arguments> *>(arguments));
}

#define EMULATED_KERNEL(NAME) Kernel{#NAME, bytes_of(NAME), [](const void *arguments) { call(NAME, arguments); }}

extern const std::vector<Kernel> kernels;

// Runs a kernel; 0 if all went well, else `text` says what did not.
extern "C" int emulate(
    const char *name, const unsigned *grid, const unsigned *block, size_t shared_bytes, const void *arguments,
    size_t bytes, unsigned long long seed, char *text, size_t text_bytes
) {
    const Kernel *found = nullptr;
    for (const Kernel &kernel : kernels)
        if (strcmp(kernel.name, name) == 0) found = &kernel;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    emulator.threads = static_cast<int>(block[0] * block[1] * block[2]);
    emulator.problem = !found                                     ? "is unknown"
                       : found->bytes != bytes                    ? "takes arguments of another size"
                       : shared_bytes > MOST_SHARED_BYTES         ? "wants more shared memory than there is"
                       : emulator.threads % WARP_LANES            ? "has a warp that is not full"
                       : emulator.threads > MOST_THREADS          ? "has more threads than a block can"
                                                                  : nullptr;
    if (!emulator.problem) {
        emulator.kernel = found->start;
        emulator.arguments = arguments;
        emulator.random = seed * 0x9e3779b97f4a7c15ull + 1;
        getcontext(&emulator.context);
        std::vector<unsigned> order(size_t(grid[0]) * grid[1] * grid[2]);
        for (unsigned i = 0; i < order.size(); ++i) {
            order[i] = i;
            std::swap(order[i], order[emulator.draw() % (i + 1)]);
        }
        for (size_t i = 0; i < order.size() && !emulator.problem; ++i) {
            blockIdx = {order[i] % grid[0], order[i] / grid[0] % grid[1], order[i] / grid[0] / grid[1]};
            emulator.run_block(shared_bytes);
        }
    }
    if (emulator.problem)
        snprintf(text, text_bytes, "%s %s (block %u, thread %d, line %d)", name, emulator.problem, blockIdx.x,
                 emulator.current, emulator.fibre().line);
    return emulator.problem != nullptr;
}
