// The complex state-space recurrence over a clip; the maths is in README.md beside this file.
// x (b t h p), delta (b t h), a_real and a_imag (h), b_in and c_out (b t n), states (b h p n).
#pragma once
#include "native/lanes.h"

namespace ssm_scan {

constexpr int64_t SEGMENT = 16;  // frames whose states the backward pass holds at once

struct Sizes {
    int64_t batch, frames, heads, p, n;
    int64_t state() const { return p * n; }
};

// exp(delta a): rotation and decay of a head's state in one step.
template <class F> struct Turn {
    F real, imag;
    Turn(F delta, F a_real, F a_imag) {
        const F decay = std::exp(delta * a_real), angle = delta * a_imag;
        real = decay * std::cos(angle);
        imag = decay * std::sin(angle);
    }
};

template <class F> void copy(F *to, const F *from, int64_t n) { std::copy(from, from + n, to); }

// Advances one head's state by one frame, from `before` to `after`, which may be the same.
template <class F>
inline void advance(const Sizes &s, Turn<F> turn, F delta, const F *x, const F *b_in,
                    const F *real0, const F *imag0, F *real, F *imag) {
    for (int64_t p = 0; p < s.p; p++) {
        const F drive = delta * x[p];
        const int64_t o = p * s.n;
#pragma omp simd
        for (int64_t i = 0; i < s.n; i++) {
            const F r = real0[o + i], m = imag0[o + i];
            real[o + i] = r * turn.real - m * turn.imag + drive * b_in[i];
            imag[o + i] = r * turn.imag + m * turn.real;
        }
    }
}

// real and imag are the states before the clip, and are replaced by those after it; borders
// receives the states before every SEGMENT frames, real then imaginary.
template <class F>
void forward(Sizes s, const F *x, const F *delta, const F *a_real, const F *a_imag, const F *b_in,
             const F *c_out, F *y, F *real, F *imag, F *borders) {
    const int64_t segments = (s.frames + SEGMENT - 1) / SEGMENT, size = s.state();
#pragma omp parallel for schedule(static)
    for (int64_t job = 0; job < s.batch * s.heads; job++) {
        const int64_t b = job / s.heads, h = job % s.heads;
        F *re = real + job * size, *im = imag + job * size;
        for (int64_t t = 0; t < s.frames; t++) {
            if (t % SEGMENT == 0) {
                F *border = borders + (job * segments + t / SEGMENT) * 2 * size;
                copy(border, re, size);
                copy(border + size, im, size);
            }
            const int64_t bt = b * s.frames + t, bth = bt * s.heads + h;
            const F d = delta[bth];
            const Turn<F> turn(d, a_real[h], a_imag[h]);
            const F *in = b_in + bt * s.n, *out = c_out + bt * s.n;
            for (int64_t p = 0; p < s.p; p++) {
                const F drive = d * x[bth * s.p + p];
                F sum_re = 0, sum_im = 0, *rp = re + p * s.n, *ip = im + p * s.n;
#pragma omp simd reduction(+ : sum_re, sum_im)
                for (int64_t i = 0; i < s.n; i++) {
                    const F r = rp[i] * turn.real - ip[i] * turn.imag + drive * in[i];
                    const F m = rp[i] * turn.imag + ip[i] * turn.real;
                    rp[i] = r;
                    ip[i] = m;
                    sum_re += r * out[i];
                    sum_im += m * out[i];
                }
                y[(bth * 2) * s.p + p] = sum_re;
                y[(bth * 2 + 1) * s.p + p] = sum_im;
            }
        }
    }
}

// The sums of one thread over its heads.
template <class F> struct Sums {
    F *b_in, *c_out, *a_real, *a_imag;
    static int64_t size(const Sizes &s) { return 2 * s.batch * s.frames * s.n + 2 * s.heads; }
    Sums(const Sizes &s, F *from)
        : b_in(from), c_out(b_in + s.batch * s.frames * s.n),
          a_real(c_out + s.batch * s.frames * s.n), a_imag(a_real + s.heads) {}
};

// One head over one segment, backwards: grad_re and grad_im are carried from frame to frame;
// `states` holds the states before the segment and after each of its frames.
template <class F>
void back_segment(const Sizes &s, int64_t b, int64_t h, int64_t begin, int64_t end, const F *x,
                  const F *delta, F a_real, F a_imag, const F *b_in, const F *c_out,
                  const F *grad_y, const F *states, F *grad_re, F *grad_im, F *grad_x,
                  F *grad_delta, const Sums<F> &sums) {
    const int64_t size = s.state();
    for (int64_t t = end - 1; t >= begin; t--) {
        const int64_t bt = b * s.frames + t, bth = bt * s.heads + h;
        const F d = delta[bth], *now = states + (t - begin + 1) * 2 * size, *past = now - 2 * size;
        const Turn<F> turn(d, a_real, a_imag);
        const F *in = b_in + bt * s.n, *out = c_out + bt * s.n;
        F *g_in = sums.b_in + bt * s.n, *g_out = sums.c_out + bt * s.n;
        F turn_re = 0, turn_im = 0, g_delta = 0;
        for (int64_t p = 0; p < s.p; p++) {
            const F gy_re = grad_y[bth * 2 * s.p + p], gy_im = grad_y[(bth * 2 + 1) * s.p + p];
            const F value = x[bth * s.p + p], drive = d * value;
            const F *re = now + p * s.n, *im = re + size, *re0 = past + p * s.n, *im0 = re0 + size;
            F *gr = grad_re + p * s.n, *gi = grad_im + p * s.n;
            F g_drive = 0, g_turn_re = 0, g_turn_im = 0;
#pragma omp simd reduction(+ : g_drive, g_turn_re, g_turn_im)
            for (int64_t i = 0; i < s.n; i++) {
                const F r = gr[i] + gy_re * out[i], m = gi[i] + gy_im * out[i];
                g_out[i] += gy_re * re[i] + gy_im * im[i];
                g_in[i] += drive * r;
                g_drive += r * in[i];
                g_turn_re += r * re0[i] + m * im0[i];
                g_turn_im += m * re0[i] - r * im0[i];
                gr[i] = r * turn.real + m * turn.imag;
                gi[i] = m * turn.real - r * turn.imag;
            }
            grad_x[bth * s.p + p] = d * g_drive;
            g_delta += value * g_drive;
            turn_re += g_turn_re;
            turn_im += g_turn_im;
        }
        // turn = exp(delta a), so its derivative by delta a is itself
        const F along = turn_re * turn.real + turn_im * turn.imag;
        const F across = turn_im * turn.real - turn_re * turn.imag;
        grad_delta[bth] = g_delta + along * a_real + across * a_imag;
        sums.a_real[h] += d * along;
        sums.a_imag[h] += d * across;
    }
}

// grad_real and grad_imag are the gradients of the last states, and are replaced by those of the
// first states.
template <class F>
void backward(Sizes s, const F *x, const F *delta, const F *a_real, const F *a_imag, const F *b_in,
              const F *c_out, const F *borders, const F *grad_y, F *grad_x, F *grad_delta,
              F *grad_sums, F *grad_real, F *grad_imag) {
    const int64_t segments = (s.frames + SEGMENT - 1) / SEGMENT, size = s.state();
    const int64_t n_sums = Sums<F>::size(s);
    const int threads = int(std::min<int64_t>(omp_get_max_threads(), s.batch * s.heads));
    std::vector<F> partial(size_t(threads * n_sums), F(0));
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        const Sums<F> sums(s, partial.data() + thread * n_sums);
        std::vector<F> states(size_t((SEGMENT + 1) * 2 * size));
        const Share share(s.batch * s.heads, thread, threads);
        for (int64_t job = share.begin; job < share.end; job++) {
            const int64_t b = job / s.heads, h = job % s.heads;
            for (int64_t segment = segments - 1; segment >= 0; segment--) {
                const int64_t begin = segment * SEGMENT;
                const int64_t end = std::min(begin + SEGMENT, s.frames);
                copy(states.data(), borders + (job * segments + segment) * 2 * size, 2 * size);
                for (int64_t t = begin; t < end; t++) {
                    const int64_t bt = b * s.frames + t, bth = bt * s.heads + h;
                    const F *from = states.data() + (t - begin) * 2 * size;
                    F *to = states.data() + (t - begin + 1) * 2 * size;
                    advance(s, Turn<F>(delta[bth], a_real[h], a_imag[h]), delta[bth],
                            x + bth * s.p, b_in + bt * s.n, from, from + size, to, to + size);
                }
                back_segment(s, b, h, begin, end, x, delta, a_real[h], a_imag[h], b_in, c_out,
                             grad_y, states.data(), grad_real + job * size, grad_imag + job * size,
                             grad_x, grad_delta, sums);
            }
        }
    }
    for (int64_t i = 0; i < n_sums; i++) {
        F sum = 0;
        for (int thread = 0; thread < threads; thread++)
            sum += partial[size_t(thread * n_sums + i)];
        grad_sums[i] = sum;
    }
}

}  // namespace ssm_scan
