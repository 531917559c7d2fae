// TemporalNorm over a clip; the maths is in README.md beside this file.
// Frames are (b t p c), p positions; take (b t c) is the share of a new frame in the statistics.
#include "native/lanes.h"

namespace {

constexpr int64_t SCRATCH = 1 << 17;  // values of one thread's scratch: half of a core's cache

// Positions that are computed together, so that `arrays` values each for every frame fit.
int64_t tile_positions(int64_t frames, int64_t channels, int64_t arrays, int64_t positions) {
    const int64_t fitting = SCRATCH / (arrays * frames * channels);
    return std::max<int64_t>(1, std::min<int64_t>({fitting, 32, positions}));
}

// With a number of channels known at compile time, inner loops are vectorised; 0: any number.
template <int KNOWN> inline int64_t channel_count(int64_t channels) {
    return KNOWN ? KNOWN : channels;
}

template <class S, int KNOWN>
void forward(int64_t batch, int64_t frames, int64_t positions, int64_t channels, double eps_,
             const S *x, const typename Arithmetic<S>::Compute *take,
             const typename Arithmetic<S>::Compute *gamma,
             const typename Arithmetic<S>::Compute *beta, S *y,
             typename Arithmetic<S>::Compute *mean, typename Arithmetic<S>::Compute *var) {
    typedef typename Arithmetic<S>::Compute F;
    const F eps = F(eps_);
    const int64_t n_c = channel_count<KNOWN>(channels), frame = positions * n_c;
    const int64_t tile = std::min<int64_t>(32, positions);
    const int64_t tiles = (positions + tile - 1) / tile;
#pragma omp parallel for schedule(static)
    for (int64_t job = 0; job < batch * tiles; job++) {
        const int64_t b = job / tiles, first = job % tiles * tile;
        const int64_t n_p = std::min(tile, positions - first);
        F *mu = mean + b * frame + first * n_c, *v = var + b * frame + first * n_c;
        for (int64_t t = 0; t < frames; t++) {
            const F *k = take + (b * frames + t) * n_c;
            const int64_t at = (b * frames + t) * frame + first * n_c;
            for (int64_t p = 0; p < n_p; p++) {
                const int64_t o = p * n_c;
                const S *xt = x + at + o;
                S *yt = y + at + o;
#pragma omp simd
                for (int64_t c = 0; c < n_c; c++) {
                    const F value = get(xt[c]);
                    const F d = (F(1) - k[c]) * (value - mu[o + c]);
                    const F w = v[o + c] + k[c] * (d * d - v[o + c]);
                    mu[o + c] = value - d;
                    v[o + c] = w;
                    put(yt[c], gamma[c] * d / std::sqrt(w + eps) + beta[c]);
                }
            }
        }
    }
}

// mean and var are gradients of the last statistics, and are replaced by those of the first;
// sums is (threads, t + 2, c) for each b: gradients of take, gamma and beta by thread.
template <class S, int KNOWN>
void backward(int64_t batch, int64_t frames, int64_t positions, int64_t channels, double eps_,
              const S *x, const typename Arithmetic<S>::Compute *take,
              const typename Arithmetic<S>::Compute *gamma,
              const typename Arithmetic<S>::Compute *mean0,
              const typename Arithmetic<S>::Compute *var0, const S *grad_y, S *grad_x,
              typename Arithmetic<S>::Compute *grad_mean,
              typename Arithmetic<S>::Compute *grad_var,
              typename Arithmetic<S>::Compute *grad_take,
              typename Arithmetic<S>::Compute *grad_scale) {
    typedef typename Arithmetic<S>::Compute F;
    const F eps = F(eps_);
    const int64_t n_c = channel_count<KNOWN>(channels), frame = positions * n_c;
    const int64_t tile = tile_positions(frames, n_c, 2, positions);
    const int64_t tiles = (positions + tile - 1) / tile;
    const int64_t sums = (batch * frames + 2) * n_c;
    const int threads = int(std::min<int64_t>(omp_get_max_threads(), batch * tiles));
    std::vector<F> partial(size_t(threads * sums), F(0));
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        F *g_take = partial.data() + thread * sums;
        F *g_gamma = g_take + batch * frames * n_c, *g_beta = g_gamma + n_c;
        std::vector<F> scratch(size_t(2 * frames * tile * n_c)), carried(size_t(2 * tile * n_c));
        F *all_rises = scratch.data(), *vs = all_rises + frames * tile * n_c;
        const Share share(batch * tiles, thread, threads);
        for (int64_t job = share.begin; job < share.end; job++) {
            const int64_t b = job / tiles, first = job % tiles * tile;
            const int64_t n = std::min(tile, positions - first) * n_c, at = b * frame + first * n_c;
            F *mu = carried.data(), *v = mu + tile * n_c;
            std::copy(mean0 + at, mean0 + at + n, mu);
            std::copy(var0 + at, var0 + at + n, v);
            for (int64_t t = 0; t < frames; t++) {
                const F *k = take + (b * frames + t) * n_c;
                const S *xt = x + (b * frames + t) * frame + first * n_c;
                F *rises = all_rises + t * tile * n_c, *vt = vs + t * tile * n_c;
                for (int64_t o = 0; o < n; o += n_c)
#pragma omp simd
                    for (int64_t c = 0; c < n_c; c++) {
                        const F value = get(xt[o + c]), rise = value - mu[o + c];
                        const F d = (F(1) - k[c]) * rise;
                        v[o + c] += k[c] * (d * d - v[o + c]);
                        mu[o + c] = value - d;
                        rises[o + c] = rise;
                        vt[o + c] = v[o + c];
                    }
            }
            F *g_mu = grad_mean + at, *g_v = grad_var + at;
            for (int64_t t = frames - 1; t >= 0; t--) {
                const F *k = take + (b * frames + t) * n_c;
                const int64_t now = (b * frames + t) * frame + first * n_c;
                const F *rises = all_rises + t * tile * n_c, *vt = vs + t * tile * n_c;
                const F *before = t ? vt - tile * n_c : var0 + at;
                F *gk = g_take + (b * frames + t) * n_c;
                for (int64_t o = 0; o < n; o += n_c)
#pragma omp simd
                    for (int64_t c = 0; c < n_c; c++) {
                        const F keep = F(1) - k[c], rise = rises[o + c], d = keep * rise;
                        const F g = get(grad_y[now + o + c]);
                        const F r = F(1) / std::sqrt(vt[o + c] + eps);
                        const F gr = g * r, scaled = gr * gamma[c];
                        const F gv = g_v[o + c] - F(0.5) * scaled * d * r * r;
                        const F gd = scaled + F(2) * k[c] * gv * d;
                        const F gm = g_mu[o + c] - gd;
                        put(grad_x[now + o + c], gd + k[c] * gm);
                        gk[c] += gv * (d * d - before[o + c]) + gm * rise;
                        g_gamma[c] += gr * d;
                        g_beta[c] += g;
                        g_v[o + c] = keep * gv;
                        g_mu[o + c] = keep * gm;
                    }
            }
        }
    }
    for (int64_t i = 0; i < sums; i++) {
        F sum = 0;
        for (int thread = 0; thread < threads; thread++) sum += partial[size_t(thread * sums + i)];
        (i < batch * frames * n_c ? grad_take[i] : grad_scale[i - batch * frames * n_c]) = sum;
    }
}

}  // namespace

#define PER_STORAGE(S, SUFFIX)                                                                     \
    typedef Arithmetic<S>::Compute F_##SUFFIX;                                                     \
    extern "C" void temporal_norm_forward_##SUFFIX(                                                \
        int64_t b, int64_t t, int64_t p, int64_t c, double eps, const S *x,                        \
        const F_##SUFFIX *take, const F_##SUFFIX *gamma, const F_##SUFFIX *beta, S *y,             \
        F_##SUFFIX *mean, F_##SUFFIX *var) {                                                       \
        (c == 32 ? forward<S, 32> : forward<S, 0>)(b, t, p, c, eps, x, take, gamma, beta, y, mean, \
                                                   var);                                           \
    }                                                                                              \
    extern "C" void temporal_norm_backward_##SUFFIX(                                               \
        int64_t b, int64_t t, int64_t p, int64_t c, double eps, const S *x,                        \
        const F_##SUFFIX *take, const F_##SUFFIX *gamma, const F_##SUFFIX *mean0,                  \
        const F_##SUFFIX *var0, const S *grad_y, S *grad_x, F_##SUFFIX *grad_mean,                 \
        F_##SUFFIX *grad_var, F_##SUFFIX *grad_take, F_##SUFFIX *grad_scale) {                     \
        (c == 32 ? backward<S, 32> : backward<S, 0>)(b, t, p, c, eps, x, take, gamma, mean0, var0, \
                                                     grad_y, grad_x, grad_mean, grad_var,          \
                                                     grad_take, grad_scale);                       \
    }

PER_STORAGE(float, float32)
PER_STORAGE(double, float64)
PER_STORAGE(BFloat16, bfloat16)
