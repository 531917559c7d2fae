/** Discrete Fourier transforms of real signals whose length has no prime factor above 5. */

export interface Complex {
  re: Float64Array;
  im: Float64Array;
}

/** The smallest length of at least n that a transform takes: factors 2, 3 and 5 only. */
export function nextFastLength(n: number): number {
  for (let length = Math.max(1, n); ; length++) {
    let rest = length;
    for (const factor of [2, 3, 5]) while (rest % factor === 0) rest /= factor;
    if (rest === 1) return length;
  }
}

/** Bins 0 to n / 2 of the transform of `x`, padded with zeros to the length n. */
export function realTransform(x: ArrayLike<number>, n: number): Complex {
  const re = new Float64Array(n);
  for (let i = 0; i < Math.min(n, x.length); i++) re[i] = x[i];
  const whole = transform({ re, im: new Float64Array(n) }, -1);
  const bins = Math.floor(n / 2) + 1;
  return { re: whole.re.subarray(0, bins), im: whole.im.subarray(0, bins) };
}

/** The real signal of length n whose `realTransform` is `half`. */
export function inverseRealTransform(half: Complex, n: number): Float64Array {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  for (let k = 0; k < half.re.length; k++) {
    re[k] = half.re[k];
    im[k] = half.im[k];
    const mirrored = (n - k) % n;
    if (mirrored === k) im[k] = 0;
    else {
      re[mirrored] = half.re[k];
      im[mirrored] = -half.im[k];
    }
  }
  return transform({ re, im }, 1).re.map((value) => value / n);
}

/** Sums x exp(sign 2 pi i j k / n), by splitting off one factor of n after another. */
function transform(x: Complex, sign: 1 | -1): Complex {
  const n = x.re.length;
  const cos = new Float64Array(n);
  const sin = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    cos[k] = Math.cos((2 * Math.PI * k) / n);
    sin[k] = sign * Math.sin((2 * Math.PI * k) / n);
  }
  let from = x;
  let to: Complex = { re: new Float64Array(n), im: new Float64Array(n) };
  for (let done = 1; done < n; ) {
    const factor = smallestFactor(n / done);
    stage(from, to, done, factor, { re: cos, im: sin });
    [from, to] = [to, from];
    done *= factor;
  }
  return from;
}

function smallestFactor(n: number): number {
  for (const factor of [4, 2, 3, 5]) if (n % factor === 0) return factor;
  throw new Error(`length with the factor ${n}: pad to nextFastLength`);
}

/** One pass of a Stockham transform: `done` interleaved transforms become `done * factor` long. */
function stage(from: Complex, to: Complex, done: number, factor: number, turn: Complex): void {
  const n = from.re.length;
  const rest = n / (done * factor);
  for (let k = 0; k < done; k++) {
    for (let out = 0; out < factor; out++) {
      const place = k + out * done;
      for (let j = 0; j < rest; j++) {
        let re = 0;
        let im = 0;
        for (let part = 0; part < factor; part++) {
          const at = (part * place * rest) % n;
          const source = j + rest * (part + factor * k);
          const a = from.re[source];
          const b = from.im[source];
          re += a * turn.re[at] - b * turn.im[at];
          im += a * turn.im[at] + b * turn.re[at];
        }
        to.re[j + rest * place] = re;
        to.im[j + rest * place] = im;
      }
    }
  }
}
