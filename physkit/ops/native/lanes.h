// Shared by the native ops: storage types, vectors of floats, and how work is divided.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#include <omp.h>

// Widest vector of the processor that this file is compiled for.
#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t IntLanes __attribute__((vector_size(LANES * 4)));

struct BFloat16 {
    uint16_t bits;
};

// Arithmetic is in Compute, whatever Storage is.
template <class Storage> struct Arithmetic {
    typedef Storage Compute;
};
template <> struct Arithmetic<BFloat16> {
    typedef float Compute;
};

inline float get(const float &x) { return x; }
inline double get(const double &x) { return x; }
inline float get(const BFloat16 &x) {
    const uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

inline void put(float &to, float x) { to = x; }
inline void put(double &to, double x) { to = x; }
inline void put(BFloat16 &to, float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const uint32_t even = bits + 0x7fffu + ((bits >> 16) & 1u);
    // a NaN must not be rounded to infinity
    to.bits = uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : even >> 16);
}

// Thread `thread` of `n` works on [begin, end) of `total` items: the same range in every call, so
// that sums are the same in every run.
struct Share {
    int64_t begin, end;
    Share(int64_t total, int thread, int n)
        : begin(total * thread / n), end(total * (thread + 1) / n) {}
};
