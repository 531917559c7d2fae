// relu6 of a linear layer, averaged over space; the maths is in README.md beside this file.
// Frames are (n p i): n frames, p positions, i channels in; weight (o i); out (n o).
#include "native/lanes.h"

namespace {

constexpr int64_t BLOCK = 48;  // positions whose activations stay in the innermost cache
constexpr int GROUP = 6;       // positions, or inputs, that share the weights in registers
static_assert(BLOCK % GROUP == 0, "a block is made of whole groups");

// The published size, in vectors of known number: I inputs, O outputs.
template <int I, int O> struct Wide {
    static constexpr int IV = I / LANES, OV = O / LANES;
    Lanes by_input[I][OV];   // weight, outputs in vectors
    Lanes by_output[O][IV];  // weight, inputs in vectors
    Lanes bias[OV];

    Wide(const float *weight, const float *bias_) {
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) {
                by_input[i][o / LANES][o % LANES] = weight[o * I + i];
                by_output[o][i / LANES][i % LANES] = weight[o * I + i];
            }
        for (int o = 0; o < O; o++) bias[o / LANES][o % LANES] = bias_[o];
    }

    // The linear layer of `n` positions, at most GROUP; the rest of x is ignored.
    inline void linear(const float *x, Lanes (&out)[GROUP][OV]) const {
        for (int p = 0; p < GROUP; p++)
            for (int v = 0; v < OV; v++) out[p][v] = bias[v];
        for (int i = 0; i < I; i++)
            for (int p = 0; p < GROUP; p++)
                for (int v = 0; v < OV; v++) out[p][v] += by_input[i][v] * x[p * I + i];
    }
};

inline Lanes relu6(Lanes x) {
    const Lanes zero = {}, six = zero + 6.0f;
    x = x > zero ? x : zero;
    return x < six ? x : six;
}

// Values where 0 < pre < 6, else 0.
inline Lanes where_open(Lanes pre, Lanes value) {
    const Lanes zero = {}, six = zero + 6.0f;
    const IntLanes open = (pre > zero) & (pre < six);
    return (Lanes)((IntLanes)value & open);
}

// `n` positions as floats, followed by zeros up to `room` positions.
template <class S, int I> inline void load(const S *x, int64_t n, int64_t room, float *to) {
    for (int64_t k = 0; k < n * I; k++) to[k] = get(x[k]);
    std::fill(to + n * I, to + room * I, 0.0f);
}

template <class S, int I, int O>
void wide_forward(int64_t frames, int64_t positions, const S *x, const float *weight,
                  const float *bias, float *out) {
    typedef Wide<I, O> W;
    const W w(weight, bias);
#pragma omp parallel for schedule(static)
    for (int64_t f = 0; f < frames; f++) {
        Lanes sum[W::OV] = {};
        float group[GROUP * I];
        for (int64_t p = 0; p < positions; p += GROUP) {
            const int64_t n = std::min<int64_t>(GROUP, positions - p);
            load<S, I>(x + (f * positions + p) * I, n, GROUP, group);
            Lanes pre[GROUP][W::OV];
            w.linear(group, pre);
            for (int64_t k = 0; k < n; k++)
                for (int v = 0; v < W::OV; v++) sum[v] += relu6(pre[k][v]);
        }
        const float share = 1.0f / float(positions);
        for (int v = 0; v < W::OV; v++) {
            const Lanes mean = sum[v] * share;
            std::memcpy(out + f * O + v * LANES, &mean, sizeof mean);
        }
    }
}

// The sums of one thread: gradients of weight (i o) and bias (o).
template <int I, int O> struct Gradients {
    Lanes weight[I][O / LANES], bias[O / LANES];
};

// Gradients of one block of positions: `open` is the gradient behind relu6, x the input.
template <class S, int I, int O>
inline void back_block(const Wide<I, O> &w, const float *x, const Lanes (*open)[O / LANES],
                       int64_t n, S *grad_x, Gradients<I, O> &sums) {
    constexpr int IV = I / LANES, OV = O / LANES;
    for (int64_t p = 0; p < n; p += GROUP) {
        const float *g = (const float *)open[p];
        Lanes gx[GROUP][IV] = {};
        for (int o = 0; o < O; o++)
            for (int k = 0; k < GROUP; k++)
                for (int v = 0; v < IV; v++) gx[k][v] += w.by_output[o][v] * g[k * O + o];
        const float *flat = (const float *)gx;
        for (int64_t k = 0; k < std::min<int64_t>(GROUP, n - p) * I; k++)
            put(grad_x[p * I + k], flat[k]);
    }
    for (int i = 0; i < I; i += 4) {
        Lanes gw[4][OV];
        for (int k = 0; k < 4; k++)
            for (int v = 0; v < OV; v++) gw[k][v] = sums.weight[i + k][v];
        for (int64_t p = 0; p < n; p++)
            for (int k = 0; k < 4; k++)
                for (int v = 0; v < OV; v++) gw[k][v] += open[p][v] * x[p * I + i + k];
        for (int k = 0; k < 4; k++)
            for (int v = 0; v < OV; v++) sums.weight[i + k][v] = gw[k][v];
    }
    for (int64_t p = 0; p < n; p++)
        for (int v = 0; v < OV; v++) sums.bias[v] += open[p][v];
}

template <class S, int I, int O>
void wide_backward(int64_t frames, int64_t positions, const S *x, const float *weight,
                   const float *bias, const float *grad, S *grad_x, float *grad_weight,
                   float *grad_bias) {
    typedef Wide<I, O> W;
    const W w(weight, bias);
    const int threads = int(std::min<int64_t>(omp_get_max_threads(), std::max<int64_t>(frames, 1)));
    std::vector<Gradients<I, O>> partial(threads);  // value-initialised: zeros
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        Gradients<I, O> &sums = partial[thread];
        Lanes open[BLOCK][W::OV];
        float block[BLOCK * I];
        const Share share(frames, thread, threads);
        for (int64_t f = share.begin; f < share.end; f++) {
            Lanes g[W::OV];
            std::memcpy(g, grad + f * O, sizeof g);
            for (int v = 0; v < W::OV; v++) g[v] *= 1.0f / float(positions);
            for (int64_t first = 0; first < positions; first += BLOCK) {
                const int64_t n = std::min(BLOCK, positions - first);
                load<S, I>(x + (f * positions + first) * I, n, BLOCK, block);
                for (int64_t p = 0; p < n; p += GROUP) {
                    Lanes pre[GROUP][W::OV];
                    w.linear(block + p * I, pre);
                    for (int k = 0; k < GROUP; k++)
                        for (int v = 0; v < W::OV; v++)
                            open[p + k][v] = where_open(pre[k][v], g[v]);
                }
                back_block<S, I, O>(w, block, open, n, grad_x + (f * positions + first) * I, sums);
            }
        }
    }
    for (int o = 0; o < O; o++) {
        grad_bias[o] = 0;
        for (auto &sums : partial) grad_bias[o] += sums.bias[o / LANES][o % LANES];
        for (int i = 0; i < I; i++) {
            grad_weight[o * I + i] = 0;
            for (auto &sums : partial)
                grad_weight[o * I + i] += sums.weight[i][o / LANES][o % LANES];
        }
    }
}

// Any size, any type: the same sums, not optimised.
template <class S, class F = typename Arithmetic<S>::Compute>
F linear_at(int64_t in, const S *x, const F *weight, F bias) {
    for (int64_t i = 0; i < in; i++) bias += weight[i] * get(x[i]);
    return bias;
}

template <class S, class F = typename Arithmetic<S>::Compute>
void any_forward(int64_t frames, int64_t positions, int64_t in, int64_t out, const S *x,
                 const F *weight, const F *bias, F *y) {
#pragma omp parallel for schedule(static)
    for (int64_t f = 0; f < frames; f++)
        for (int64_t o = 0; o < out; o++) {
            F sum = 0;
            for (int64_t p = 0; p < positions; p++) {
                const S *at = x + (f * positions + p) * in;
                sum += std::min(F(6), std::max(F(0), linear_at(in, at, weight + o * in, bias[o])));
            }
            y[f * out + o] = sum / F(positions);
        }
}

template <class S, class F = typename Arithmetic<S>::Compute>
void any_backward(int64_t frames, int64_t positions, int64_t in, int64_t out, const S *x,
                  const F *weight, const F *bias, const F *grad, S *grad_x, F *grad_weight,
                  F *grad_bias) {
    std::fill(grad_weight, grad_weight + in * out, F(0));
    std::fill(grad_bias, grad_bias + out, F(0));
    std::vector<F> gx(in);
    for (int64_t k = 0; k < frames * positions; k++) {
        const S *at = x + k * in;
        const F *g = grad + k / positions * out;
        std::fill(gx.begin(), gx.end(), F(0));
        for (int64_t o = 0; o < out; o++) {
            const F pre = linear_at(in, at, weight + o * in, bias[o]);
            if (!(pre > F(0) && pre < F(6))) continue;
            const F share = g[o] / F(positions);
            grad_bias[o] += share;
            for (int64_t i = 0; i < in; i++) {
                gx[i] += share * weight[o * in + i];
                grad_weight[o * in + i] += share * get(at[i]);
            }
        }
        for (int64_t i = 0; i < in; i++) put(grad_x[k * in + i], gx[i]);
    }
}

}  // namespace

#define PER_STORAGE(S, SUFFIX)                                                                     \
    typedef Arithmetic<S>::Compute F_##SUFFIX;                                                     \
    extern "C" void expand_pool_forward_##SUFFIX(                                                  \
        int64_t n, int64_t p, int64_t in, int64_t out, const S *x, const F_##SUFFIX *weight,       \
        const F_##SUFFIX *bias, F_##SUFFIX *y) {                                                   \
        FORWARD_##SUFFIX(S) any_forward<S>(n, p, in, out, x, weight, bias, y);                     \
    }                                                                                              \
    extern "C" void expand_pool_backward_##SUFFIX(                                                 \
        int64_t n, int64_t p, int64_t in, int64_t out, const S *x, const F_##SUFFIX *weight,       \
        const F_##SUFFIX *bias, const F_##SUFFIX *grad, S *grad_x, F_##SUFFIX *grad_weight,        \
        F_##SUFFIX *grad_bias) {                                                                   \
        BACKWARD_##SUFFIX(S) any_backward<S>(n, p, in, out, x, weight, bias, grad, grad_x,         \
                                             grad_weight, grad_bias);                              \
    }
#define FORWARD_float32(S)                                                                         \
    if (in == 32 && out == 64) wide_forward<S, 32, 64>(n, p, x, weight, bias, y);                  \
    else
#define BACKWARD_float32(S)                                                                        \
    if (in == 32 && out == 64)                                                                     \
        wide_backward<S, 32, 64>(n, p, x, weight, bias, grad, grad_x, grad_weight, grad_bias);     \
    else
#define FORWARD_bfloat16 FORWARD_float32
#define BACKWARD_bfloat16 BACKWARD_float32
#define FORWARD_float64(S)
#define BACKWARD_float64(S)

PER_STORAGE(float, float32)
PER_STORAGE(double, float64)
PER_STORAGE(BFloat16, bfloat16)
