// The Mamba-2 block between its two projections; the maths is in README.md beside this file.
// Rows of u are (z, x | B | C, dt): 2 d + (d + 2 n) + h numbers, d = h p.
#include "ssm_scan/scan.h"

namespace {

constexpr int64_t WIDTH = 4;  // of the short convolution
constexpr double LARGEST = 6;  // of relu6, and of a step before it is scaled

struct Sizes {
    int64_t batch, frames, heads, p, n;
    int64_t d() const { return heads * p; }
    int64_t conv() const { return d() + 2 * n; }
    int64_t row() const { return 2 * d() + conv() + heads; }
    ssm_scan::Sizes scan() const { return {batch, frames, heads, p, n}; }
};

template <class F> inline F relu6(F x) { return std::min(F(LARGEST), std::max(F(0), x)); }
template <class F> inline bool open(F x) { return x > F(0) && x < F(LARGEST); }

// The convolution's input at frame t of a clip; before the clip, the rows of the state.
template <class F>
inline const F *input(const Sizes &s, const F *u, const F *rows, int64_t b, int64_t t) {
    return t < 0 ? rows + (b * WIDTH + WIDTH + t) * s.conv()
                 : u + (b * s.frames + t) * s.row() + 2 * s.d();
}

// The inputs of the scan, each contiguous.
template <class F> struct ScanInputs {
    F *x, *b_in, *c_out, *delta;
    static int64_t size(const Sizes &s) {
        return s.batch * s.frames * (s.conv() + s.heads);
    }
    ScanInputs(const Sizes &s, F *from) {
        const int64_t rows = s.batch * s.frames;
        x = from, b_in = x + rows * s.d(), c_out = b_in + rows * s.n, delta = c_out + rows * s.n;
    }
};

template <class F>
void mix(const Sizes &s, const F *u, const F *rows, const F *weight, const F *bias,
         const F *dt_bias, const F *span, const ScanInputs<F> &to) {
    const int64_t d = s.d(), c = s.conv();
#pragma omp parallel
    {
        std::vector<F> mixed(c);
#pragma omp for schedule(static)
        for (int64_t bt = 0; bt < s.batch * s.frames; bt++) {
            const int64_t b = bt / s.frames, t = bt % s.frames;
            const F *in[WIDTH];
            for (int64_t k = 0; k < WIDTH; k++) in[k] = input(s, u, rows, b, t + k + 1 - WIDTH);
#pragma omp simd
            for (int64_t i = 0; i < c; i++)
                mixed[i] = relu6(bias[i] + weight[i] * in[0][i] + weight[c + i] * in[1][i] +
                                 weight[2 * c + i] * in[2][i] + weight[3 * c + i] * in[3][i]);
            std::copy(mixed.begin(), mixed.begin() + d, to.x + bt * d);
            std::copy(mixed.begin() + d, mixed.begin() + d + s.n, to.b_in + bt * s.n);
            std::copy(mixed.begin() + d + s.n, mixed.end(), to.c_out + bt * s.n);
            const F *dt = u + bt * s.row() + 2 * d + c;
            for (int64_t h = 0; h < s.heads; h++)
                to.delta[bt * s.heads + h] =
                    std::min(F(LARGEST), std::exp(dt[h] + dt_bias[h])) * span[bt];
        }
    }
}

// y (h 2 p) with its skip, not yet gated: the real part of each head sees x.
template <class F>
inline void with_skip(const Sizes &s, const F *y, const F *x, const F *skip, F *to) {
    for (int64_t h = 0; h < s.heads; h++)
        for (int64_t k = 0; k < s.p; k++) {
            const int64_t o = 2 * h * s.p + k;
            to[o] = y[o] + skip[2 * h] * x[h * s.p + k];
            to[o + s.p] = y[o + s.p];
        }
}

template <class F>
void read_out(const Sizes &s, const F *u, const F *x, const F *y, const F *skip, const F *norm,
              F eps, F *out, F *scale) {
    const int64_t wide = 2 * s.d();
#pragma omp parallel
    {
        std::vector<F> gated(wide);
#pragma omp for schedule(static)
        for (int64_t bt = 0; bt < s.batch * s.frames; bt++) {
            const F *z = u + bt * s.row();
            with_skip(s, y + bt * wide, x + bt * s.d(), skip, gated.data());
            F square = 0;
#pragma omp simd reduction(+ : square)
            for (int64_t i = 0; i < wide; i++) {
                gated[i] *= relu6(z[i]);
                square += gated[i] * gated[i];
            }
            scale[bt] = F(1) / std::sqrt(square / F(wide) + eps);
            for (int64_t i = 0; i < wide; i++) out[bt * wide + i] = gated[i] * scale[bt] * norm[i];
        }
    }
}

template <class F>
void forward(Sizes s, F eps, const F *u, const F *rows, const F *span, const F *weight,
             const F *bias, const F *dt_bias, const F *a_real, const F *a_imag, const F *skip,
             const F *norm, F *out, F *rows_after, F *real, F *imag, F *inputs, F *y, F *scale,
             F *borders) {
    const ScanInputs<F> scan(s, inputs);
    mix(s, u, rows, weight, bias, dt_bias, span, scan);
    ssm_scan::forward(s.scan(), scan.x, scan.delta, a_real, a_imag, scan.b_in, scan.c_out, y, real,
                      imag, borders);
    read_out(s, u, scan.x, y, skip, norm, eps, out, scale);
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t k = 0; k < WIDTH; k++) {
            const F *last = input(s, u, rows, b, s.frames - WIDTH + k);
            std::copy(last, last + s.conv(), rows_after + (b * WIDTH + k) * s.conv());
        }
}

// Gradients of the small parameters, one after the other.
template <class F> struct Small {
    F *weight, *bias, *dt_bias, *a_real, *a_imag, *skip, *norm;
    static int64_t size(const Sizes &s) {
        return (WIDTH + 1) * s.conv() + 3 * s.heads + 2 * s.heads + 2 * s.d();
    }
    Small(const Sizes &s, F *from) {
        weight = from, bias = weight + WIDTH * s.conv(), dt_bias = bias + s.conv();
        a_real = dt_bias + s.heads, a_imag = a_real + s.heads, skip = a_imag + s.heads;
        norm = skip + 2 * s.heads;
    }
};

// Backwards through norm, gate and skip of one frame: grad_y (h 2 p), grad_x, gradient of z.
template <class F>
void back_read_out(const Sizes &s, const F *z, const F *x, const F *y, const F *skip,
                   const F *norm, F scale, const F *grad, F *gated, F *grad_z, F *grad_y,
                   F *grad_x, const Small<F> &sums) {
    const int64_t wide = 2 * s.d();
    with_skip(s, y, x, skip, gated);
    F along = 0;
#pragma omp simd reduction(+ : along)
    for (int64_t i = 0; i < wide; i++) {
        const F value = gated[i] * relu6(z[i]) * scale;
        sums.norm[i] += grad[i] * value;
        along += grad[i] * norm[i] * value;
    }
    along /= F(wide);
#pragma omp simd
    for (int64_t i = 0; i < wide; i++) {
        const F gate = relu6(z[i]);
        const F g = scale * (grad[i] * norm[i] - gated[i] * gate * scale * along);
        grad_z[i] = open(z[i]) ? g * gated[i] : F(0);
        grad_y[i] = g * gate;
    }
    for (int64_t h = 0; h < s.heads; h++)
        for (int64_t k = 0; k < s.p; k++) {
            const F g = grad_y[2 * h * s.p + k];
            grad_x[h * s.p + k] = g * skip[2 * h];
            sums.skip[2 * h] += g * x[h * s.p + k];
        }
}

// Backwards through the convolution, channels [begin, end): `mixed` and its gradient belong to one
// input of the scan, `wide` channels, which are the channels of the convolution from `at` on.
template <class F>
void back_convolution(const Sizes &s, int64_t b, int64_t at, int64_t wide, const F *u,
                      const F *rows, const F *weight, const F *mixed, const F *grad, F *grad_u,
                      F *grad_rows, const Small<F> &sums) {
    const int64_t c = s.conv();
    for (int64_t t = 0; t < s.frames; t++) {
        const F *m = mixed + (b * s.frames + t) * wide, *g = grad + (b * s.frames + t) * wide;
        for (int64_t k = 0; k < WIDTH; k++) {
            const int64_t from = t + k + 1 - WIDTH;
            const F *in = input(s, u, rows, b, from) + at, *w = weight + k * c + at;
            F *to = at + (from < 0 ? grad_rows + (b * WIDTH + WIDTH + from) * c
                                   : grad_u + (b * s.frames + from) * s.row() + 2 * s.d());
            F *gw = sums.weight + k * c + at;
#pragma omp simd
            for (int64_t i = 0; i < wide; i++) {
                const F behind = open(m[i]) ? g[i] : F(0);
                to[i] += w[i] * behind;
                gw[i] += in[i] * behind;
            }
        }
        for (int64_t i = 0; i < wide; i++)
            if (open(m[i])) sums.bias[at + i] += g[i];
    }
}

template <class F>
void backward(Sizes s, F eps, const F *u, const F *rows, const F *span, const F *weight,
              const F *dt_bias, const F *a_real, const F *a_imag, const F *skip, const F *norm,
              F *inputs, const F *y, const F *scale, const F *borders, const F *grad_out,
              const F *grad_rows_after, F *grad_u, F *grad_rows, F *grad_span, F *grad_small,
              F *grad_real, F *grad_imag) {
    const int64_t d = s.d(), wide = 2 * d, total = s.batch * s.frames, n_small = Small<F>::size(s);
    const ScanInputs<F> scan(s, inputs);
    std::vector<F> grads(ScanInputs<F>::size(s)), grad_y(total * wide), skipped(total * d);
    const ScanInputs<F> grad(s, grads.data());
    const int threads = omp_get_max_threads();
    std::vector<F> partial(threads * n_small, F(0));
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        const Small<F> sums(s, partial.data() + thread * n_small);
        std::vector<F> gated(wide);
        const Share share(total, thread, threads);
        for (int64_t bt = share.begin; bt < share.end; bt++)
            back_read_out(s, u + bt * s.row(), scan.x + bt * d, y + bt * wide, skip, norm,
                          scale[bt], grad_out + bt * wide, gated.data(), grad_u + bt * s.row(),
                          grad_y.data() + bt * wide, skipped.data() + bt * d, sums);
    }
    std::vector<F> scan_sums(ssm_scan::Sums<F>::size(s.scan()));
    ssm_scan::backward(s.scan(), scan.x, scan.delta, a_real, a_imag, scan.b_in, scan.c_out,
                       borders, grad_y.data(), grad.x, grad.delta, scan_sums.data(), grad_real,
                       grad_imag);
    const ssm_scan::Sums<F> found(s.scan(), scan_sums.data());
    const Small<F> small(s, grad_small);
    for (int64_t i = 0; i < n_small; i++) {
        grad_small[i] = 0;
        for (int thread = 0; thread < threads; thread++)
            grad_small[i] += partial[thread * n_small + i];
    }
    std::copy(found.a_real, found.a_real + s.heads, small.a_real);
    std::copy(found.a_imag, found.a_imag + s.heads, small.a_imag);
    for (int64_t i = 0; i < total * d; i++) grad.x[i] += skipped[i];
    for (int64_t bt = 0; bt < total; bt++) {
        F *row = grad_u + bt * s.row() + wide;
        std::fill(row, row + s.conv(), F(0));
        const F *dt = u + bt * s.row() + wide + s.conv();
        grad_span[bt] = 0;
        for (int64_t h = 0; h < s.heads; h++) {
            const F step = std::exp(dt[h] + dt_bias[h]), g = grad.delta[bt * s.heads + h];
            const F back = step <= F(LARGEST) ? g * span[bt] * step : F(0);
            row[s.conv() + h] = back;
            small.dt_bias[h] += back;
            grad_span[bt] += g * std::min(F(LARGEST), step);
        }
    }
    std::fill(grad_rows, grad_rows + s.batch * WIDTH * s.conv(), F(0));
    for (int64_t b = 0; b < s.batch; b++) {
        for (int64_t k = 0; k < WIDTH; k++) {
            const int64_t t = s.frames - WIDTH + k;
            const F *g = grad_rows_after + (b * WIDTH + k) * s.conv();
            F *to = t < 0 ? grad_rows + (b * WIDTH + WIDTH + t) * s.conv()
                          : grad_u + (b * s.frames + t) * s.row() + wide;
            for (int64_t i = 0; i < s.conv(); i++) to[i] += g[i];
        }
        const struct {
            int64_t at, wide;
            const F *mixed, *grad;
        } parts[] = {{0, d, scan.x, grad.x},
                     {d, s.n, scan.b_in, found.b_in},
                     {d + s.n, s.n, scan.c_out, found.c_out}};
        for (const auto &part : parts)
            back_convolution(s, b, part.at, part.wide, u, rows, weight, part.mixed, part.grad,
                             grad_u, grad_rows, small);
    }
}

}  // namespace

#define PER_TYPE(F, SUFFIX)                                                                        \
    extern "C" void ssm_mixer_forward_##SUFFIX(                                                    \
        int64_t b, int64_t t, int64_t h, int64_t p, int64_t n, double eps, const F *u,             \
        const F *rows, const F *span, const F *weight, const F *bias, const F *dt_bias,            \
        const F *a_real, const F *a_imag, const F *skip, const F *norm, F *out, F *rows_after,     \
        F *real, F *imag, F *inputs, F *y, F *scale, F *borders) {                                 \
        forward<F>({b, t, h, p, n}, F(eps), u, rows, span, weight, bias, dt_bias, a_real, a_imag,  \
                   skip, norm, out, rows_after, real, imag, inputs, y, scale, borders);            \
    }                                                                                              \
    extern "C" void ssm_mixer_backward_##SUFFIX(                                                   \
        int64_t b, int64_t t, int64_t h, int64_t p, int64_t n, double eps, const F *u,             \
        const F *rows, const F *span, const F *weight, const F *dt_bias, const F *a_real,          \
        const F *a_imag, const F *skip, const F *norm, F *inputs, const F *y, const F *scale,      \
        const F *borders, const F *grad_out, const F *grad_rows_after, F *grad_u, F *grad_rows,    \
        F *grad_span, F *grad_small, F *grad_real, F *grad_imag) {                                 \
        backward<F>({b, t, h, p, n}, F(eps), u, rows, span, weight, dt_bias, a_real, a_imag, skip, \
                    norm, inputs, y, scale, borders, grad_out, grad_rows_after, grad_u, grad_rows, \
                    grad_span, grad_small, grad_real, grad_imag);                                  \
    }

PER_TYPE(float, float32)
PER_TYPE(double, float64)
