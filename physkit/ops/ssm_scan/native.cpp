// The complex state-space recurrence over a clip, for Python; the loops are in scan.h.
#include "ssm_scan/scan.h"

extern "C" int64_t ssm_scan_segment() { return ssm_scan::SEGMENT; }

#define PER_TYPE(F, SUFFIX)                                                                        \
    extern "C" void ssm_scan_forward_##SUFFIX(                                                     \
        int64_t b, int64_t t, int64_t h, int64_t p, int64_t n, const F *x, const F *delta,         \
        const F *a_real, const F *a_imag, const F *b_in, const F *c_out, F *y, F *real, F *imag,   \
        F *borders) {                                                                              \
        ssm_scan::forward<F>({b, t, h, p, n}, x, delta, a_real, a_imag, b_in, c_out, y, real, imag,          \
                   borders);                                                                       \
    }                                                                                              \
    extern "C" void ssm_scan_backward_##SUFFIX(                                                    \
        int64_t b, int64_t t, int64_t h, int64_t p, int64_t n, const F *x, const F *delta,         \
        const F *a_real, const F *a_imag, const F *b_in, const F *c_out, const F *borders,         \
        const F *grad_y, F *grad_x, F *grad_delta, F *grad_sums, F *grad_real, F *grad_imag) {     \
        ssm_scan::backward<F>({b, t, h, p, n}, x, delta, a_real, a_imag, b_in, c_out, borders, grad_y,       \
                    grad_x, grad_delta, grad_sums, grad_real, grad_imag);                          \
    }

PER_TYPE(float, float32)
PER_TYPE(double, float64)
