/* Batch norm, an addition and ReLU in one pass over the maps, on the CPU.
 *
 * Maps are rows of channels, as channels_last keeps them: x[row * channels + channel], rows = batch * height * width.
 * Sums are float32 over a block of rows and float64 over the blocks, each thread for its own rows, and the threads' sums
 * are added in their order: the same number of threads gives the same bits.
 *
 * Narrow maps are read as fewer and wider rows, `folds` of them side by side, so that vectors are filled whatever the
 * number of channels; a wide row's sums are added up at the end.
 *
 * This file includes itself once for each kind of number: KIND is how a value is kept, NAME(f) what a function is called.
 */
#ifndef KIND
#include <math.h>
#include <stdlib.h>

#include "numbers.h"

#define BLOCK 64    /* wide rows that are summed in float32 before they go into float64 */
#define SAMPLE 64   /* rows whose mean is subtracted before squares are summed */
#define WIDEST 1024 /* values of a wide row, at most, unless the maps have more channels */

/* How many rows are read as one. */
static int folds_of(long rows, int channels) {
  int folds = 1;
  while (2 * folds * channels <= WIDEST && rows % (2 * folds) == 0) folds *= 2;
  return folds;
}

/* Room for what all threads need: two sums per value of a wide row in float64 and float32 for each thread, and four
 * numbers per value for all. */
typedef struct {
  double *sums;
  float *parts, *numbers;
} Room;

static int make_room(Room *room, int wide, int threads) {
  room->sums = calloc((size_t)2 * wide * threads, sizeof(double));
  room->parts = malloc(((size_t)2 * wide * threads + (size_t)4 * wide) * sizeof(float));
  room->numbers = room->parts ? room->parts + (size_t)2 * wide * threads : NULL;
  return room->sums && room->parts;
}

static void leave_room(Room *room) { free(room->sums), free(room->parts); }

/* Both sums of a channel over all threads and folds. */
static void total(const Room *room, int channel, int channels, int wide, int threads, double *one, double *two) {
  *one = *two = 0;
  for (int thread = 0; thread < threads; thread++)
    for (int c = channel; c < wide; c += channels) {
      *one += room->sums[(size_t)2 * wide * thread + c];
      *two += room->sums[(size_t)2 * wide * thread + wide + c];
    }
}

/* Repeats the first `channels` numbers until there are `wide`. */
static void repeat(float *numbers, int channels, int wide) {
  for (int c = channels; c < wide; c++) numbers[c] = numbers[c - channels];
}

static void flush(double *restrict sums, float *restrict parts, int values) {
#pragma omp simd
  for (int c = 0; c < values; c++) {
    sums[c] += parts[c];
    parts[c] = 0;
  }
}

#define KIND float
#define NAME(f) f##_float32
#include "norm.c"
#undef KIND
#undef NAME
#define KIND uint16_t
#define NAME(f) f##_bfloat16
#include "norm.c"

#else

/* Adds each value's sum over the rows and its square's, both less `shift`, to the thread's sums. */
static void NAME(moments)(const KIND *x, const float *restrict shift, double *sums, float *restrict parts, long first,
                          long last, int wide) {
  float *restrict one = parts, *restrict two = parts + wide;
  memset(parts, 0, (size_t)2 * wide * sizeof(float));
  for (long start = first; start < last; start += BLOCK) {
    long stop = start + BLOCK < last ? start + BLOCK : last, row = start;
    for (; row + 4 <= stop; row += 4) {
      const KIND *restrict in = x + row * wide;
#pragma omp simd
      for (int c = 0; c < wide; c++) {
        float a = NAME(load)(in[c]) - shift[c], b = NAME(load)(in[c + wide]) - shift[c];
        float d = NAME(load)(in[c + 2 * wide]) - shift[c], e = NAME(load)(in[c + 3 * wide]) - shift[c];
        one[c] += (a + b) + (d + e);
        two[c] += (a * a + b * b) + (d * d + e * e);
      }
    }
    for (; row < stop; row++) {
      const KIND *restrict in = x + row * wide;
#pragma omp simd
      for (int c = 0; c < wide; c++) {
        float a = NAME(load)(in[c]) - shift[c];
        one[c] += a;
        two[c] += a * a;
      }
    }
    flush(sums, parts, 2 * wide);
  }
}

/* y = x * scale + offset, plus `added` where it is not null, and nothing below `floor`. */
static void NAME(apply)(const KIND *restrict x, const KIND *restrict added, KIND *restrict y,
                        const float *restrict scale, const float *restrict offset, float floor, int wide) {
  if (added)
#pragma omp simd
    for (int c = 0; c < wide; c++) {
      float value = NAME(load)(x[c]) * scale[c] + offset[c] + NAME(load)(added[c]);
      y[c] = NAME(store)(value < floor ? floor : value);
    }
  else
#pragma omp simd
    for (int c = 0; c < wide; c++) {
      float value = NAME(load)(x[c]) * scale[c] + offset[c];
      y[c] = NAME(store)(value < floor ? floor : value);
    }
}

/* y = (x - mean) * invstd * weight + bias, plus `added` where it is not null, then ReLU where asked for. Gives mean and
 * invstd back and moves the running statistics on. Returns 0, or 1 where there is no memory. */
int NAME(norm_forward)(const KIND *x, const KIND *added, KIND *y, const float *weight, const float *bias, float *mean,
                       float *invstd, float *running_mean, float *running_var, long rows, int channels, float epsilon,
                       float momentum, int relu, int threads) {
  int folds = folds_of(rows, channels), wide = folds * channels;
  long lines = rows / folds, sample = rows < SAMPLE ? rows : SAMPLE;
  Room room;
  if (!make_room(&room, wide, threads)) return leave_room(&room), 1;
  float *shift = room.numbers, *scale = shift + wide, *offset = scale + wide, floor = relu ? 0 : -INFINITY;
  memset(shift, 0, channels * sizeof(float));
  for (long i = 0; i < sample; i++)
    for (int c = 0; c < channels; c++) shift[c] += NAME(load)(x[rows * i / sample * channels + c]) / sample;
  repeat(shift, channels, wide);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++)
    NAME(moments)(x, shift, room.sums + (size_t)2 * wide * t, room.parts + (size_t)2 * wide * t,
                  begin(lines, t, threads), begin(lines, t + 1, threads), wide);
  for (int c = 0; c < channels; c++) {
    double one, two;
    total(&room, c, channels, wide, threads, &one, &two);
    double apart = one / rows, variance = two / rows - apart * apart;
    if (variance < 0) variance = 0;
    mean[c] = (float)(shift[c] + apart);
    invstd[c] = (float)(1 / sqrt(variance + epsilon));
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * ((float)(variance * rows / (rows > 1 ? rows - 1 : 1)) - running_var[c]);
    scale[c] = weight[c] * invstd[c];
    offset[c] = bias[c] - mean[c] * scale[c];
  }
  repeat(scale, channels, wide), repeat(offset, channels, wide);
  /* Backwards, block by block: what was read last is still in the cache. */
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++)
    for (long stop = begin(lines, t + 1, threads), first = begin(lines, t, threads); stop > first; stop -= BLOCK)
      for (long at = (stop - BLOCK > first ? stop - BLOCK : first) * wide; at < stop * wide; at += wide)
        NAME(apply)(x + at, added ? added + at : NULL, y + at, scale, offset, floor, wide);
  return leave_room(&room), 0;
}

/* The same with statistics that are known: y = x * scale + offset, plus `added` where it is not null, then ReLU. */
int NAME(norm_known)(const KIND *x, const KIND *added, KIND *y, const float *scale, const float *offset, long rows,
                     int channels, int relu, int threads) {
  float floor = relu ? 0 : -INFINITY;
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++)
    for (long at = begin(rows, t, threads) * channels; at < begin(rows, t + 1, threads) * channels; at += channels)
      NAME(apply)(x + at, added ? added + at : NULL, y + at, scale, offset, floor, channels);
  return 0;
}

/* Adds to a thread's sums each value's gradient and its product with x less the mean, over the rows: the gradient where
 * ReLU let the value through and zero elsewhere. Where something was added (`y` and `through` are not null) `y` tells and
 * `through` keeps it; else x * scale + offset tells, as in `apply`, with no ReLU where `floor` is minus infinity. */
static void NAME(products)(const KIND *gradient, const KIND *x, const KIND *y, KIND *through,
                           const float *restrict mean, const float *restrict scale, const float *restrict offset,
                           float floor, double *sums, float *restrict parts, long first, long last, int wide) {
  float *restrict one = parts, *restrict two = parts + wide;
  memset(parts, 0, (size_t)2 * wide * sizeof(float));
  for (long start = first; start < last; start += BLOCK) {
    long stop = start + BLOCK < last ? start + BLOCK : last;
    long row = start;
    for (; row + 2 <= stop; row += 2) {
      const KIND *restrict g = gradient + row * wide, *restrict in = x + row * wide;
      if (through) {
        const KIND *restrict out = y + row * wide;
        KIND *restrict to = through + row * wide;
#pragma omp simd
        for (int c = 0; c < wide; c++) {
          float d = NAME(load)(g[c]), e = NAME(load)(g[c + wide]);
          float a = NAME(load)(out[c]) <= floor ? 0 : d, b = NAME(load)(out[c + wide]) <= floor ? 0 : e;
          to[c] = NAME(store)(a);
          to[c + wide] = NAME(store)(b);
          one[c] += a + b;
          two[c] += a * (NAME(load)(in[c]) - mean[c]) + b * (NAME(load)(in[c + wide]) - mean[c]);
        }
      } else
#pragma omp simd
        for (int c = 0; c < wide; c++) {
          float d = NAME(load)(g[c]), e = NAME(load)(g[c + wide]), v = NAME(load)(in[c]), w = NAME(load)(in[c + wide]);
          float a = v * scale[c] + offset[c] <= floor ? 0 : d, b = w * scale[c] + offset[c] <= floor ? 0 : e;
          one[c] += a + b;
          two[c] += a * (v - mean[c]) + b * (w - mean[c]);
        }
    }
    if (row < stop)
      for (int c = 0; c < wide; c++) {
        long at = row * wide + c;
        float value = NAME(load)(x[at]), passed = through ? NAME(load)(y[at]) : value * scale[c] + offset[c];
        float a = passed <= floor ? 0 : NAME(load)(gradient[at]);
        if (through) through[at] = NAME(store)(a);
        one[c] += a;
        two[c] += a * (value - mean[c]);
      }
    flush(sums, parts, 2 * wide);
  }
}

/* The gradient of x: gradient * scale - x * slope - less, the gradient being zero where x * scale + offset is not above
 * `floor`. */
static void NAME(spread)(const KIND *restrict gradient, const KIND *restrict x, KIND *restrict to,
                         const float *restrict scale, const float *restrict offset, float floor,
                         const float *restrict slope, const float *restrict less, int wide) {
#pragma omp simd
  for (int c = 0; c < wide; c++) {
    float value = NAME(load)(x[c]), own = NAME(load)(gradient[c]), g = value * scale[c] + offset[c] <= floor ? 0 : own;
    to[c] = NAME(store)(g * scale[c] - (value * slope[c] + less[c]));
  }
}

/* Gradients of norm_forward. Where it added something and had a ReLU, `y` is what it gave and `to_added` becomes the
 * gradient of what was added; both are null elsewhere. Returns 0, or 1 where there is no memory. */
int NAME(norm_backward)(const KIND *gradient, const KIND *x, const KIND *y, const float *weight, const float *bias,
                        const float *mean, const float *invstd, KIND *to_x, KIND *to_added, float *to_weight,
                        float *to_bias, long rows, int channels, int relu, int threads) {
  int folds = folds_of(rows, channels), wide = folds * channels;
  long lines = rows / folds;
  Room room;
  if (!make_room(&room, wide, threads)) return leave_room(&room), 1;
  float *middle = room.numbers, *scale = middle + wide, *offset = scale + wide, *slope = offset + wide;
  float *less = middle, floor = relu ? 0 : -INFINITY;
  for (int c = 0; c < channels; c++) {
    middle[c] = mean[c];
    scale[c] = weight[c] * invstd[c];
    offset[c] = bias[c] - mean[c] * scale[c];
  }
  repeat(middle, channels, wide), repeat(scale, channels, wide), repeat(offset, channels, wide);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++)
    NAME(products)(gradient, x, y, to_added, middle, scale, offset, floor, room.sums + (size_t)2 * wide * t,
                   room.parts + (size_t)2 * wide * t, begin(lines, t, threads), begin(lines, t + 1, threads), wide);
  for (int c = 0; c < channels; c++) {
    double one, two;
    total(&room, c, channels, wide, threads, &one, &two);
    to_bias[c] = (float)one;
    to_weight[c] = (float)(two * invstd[c]);
    slope[c] = (float)(two / rows * invstd[c] * invstd[c] * scale[c]);
    less[c] = (float)(one / rows * scale[c] - (double)mean[c] * slope[c]);
  }
  repeat(slope, channels, wide), repeat(less, channels, wide);
  const KIND *left = to_added ? to_added : gradient;
  float passed = to_added ? -INFINITY : floor;
  /* Backwards, block by block: what was read last is still in the cache. */
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1)
  for (int t = 0; t < threads; t++)
    for (long stop = begin(lines, t + 1, threads), first = begin(lines, t, threads); stop > first; stop -= BLOCK)
      for (long row = stop - BLOCK > first ? stop - BLOCK : first; row < stop; row++)
        NAME(spread)(left + row * wide, x + row * wide, to_x + row * wide, scale, offset, passed, slope, less, wide);
  return leave_room(&room), 0;
}
#endif
