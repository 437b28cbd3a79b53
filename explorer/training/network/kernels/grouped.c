/* A 3 x 3 grouped convolution of stride 1 with narrow groups, padded by one, on the CPU.
 *
 * Maps are in the order of channels_last; the number of channels is the same in and out, a multiple of LANES; a group has
 * `width` of them, a divisor of LANES. LANES channels are computed at once, however many groups they are: for each of a
 * group's inputs a copy of the maps is made in which that input stands in all the group's places, and the copies are
 * multiplied place by place. A copy of a row is made once and serves nine products.
 *
 * Weights are packed by the caller, as [channels / LANES][3][3][width][LANES]: for a place among the outputs and one of
 * its group's inputs. This file includes itself once for each kind of number, as norm.c does.
 */
#ifndef KIND
#include <stdlib.h>

#include "numbers.h"

#define LANES 16
#define TILE 8 /* outputs of a row computed at once: their sums stay in registers */

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Places __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

/* Maps (batch, rows, columns, channels), in and out. */
typedef struct {
  long batch, rows, columns;
  int channels, width, threads;
} Shape;

static inline Vector get_float32(const float *from) {
  Vector found;
  memcpy(&found, from, sizeof found);
  return found;
}

static inline void put_float32(float *to, Vector values) { memcpy(to, &values, sizeof values); }

static inline Vector get_bfloat16(const uint16_t *from) {
  Halves halves;
  memcpy(&halves, from, sizeof halves);
  return (Vector)(__builtin_convertvector(halves, Bits) << 16);
}

/* As store_bfloat16 in numbers.h. */
static inline void put_bfloat16(uint16_t *to, Vector values) {
  Bits bits = (Bits)values, rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, odd = (Bits)(values != values);
  Halves halves = __builtin_convertvector((rounded & ~odd) | (0x7fc0 & odd), Halves);
  memcpy(to, &halves, sizeof halves);
}

/* Where the copy for each input of a group finds its values. */
static void find_places(Places *places, int width) {
  for (int input = 0; input < width; input++)
    for (int lane = 0; lane < LANES; lane++) places[input][lane] = lane / width * width + input;
}

/* Vectors in the copies of a row, with a border on both sides. */
static long line_of(const Shape *shape) { return (shape->columns + 2) * shape->width; }

static Vector *room_for(long vectors) { return aligned_alloc(sizeof(Vector), vectors * sizeof(Vector)); }

/* `tile` outputs of a row from its three rows of copies. */
static inline __attribute__((always_inline)) void tile_of(Vector *sums, Vector *const *rows, long at,
                                                          const Vector *weights, const int width, const int tile) {
  Vector own[TILE];
  for (int j = 0; j < tile; j++) own[j] = (Vector){0};
  for (int ky = 0; ky < 3; ky++)
    for (int kx = 0; kx < 3; kx++)
      for (int input = 0; input < width; input++) {
        Vector weight = *weights++;
        const Vector *from = rows[ky] + (at + kx) * width + input;
        for (int j = 0; j < tile; j++) own[j] += from[(long)j * width] * weight;
      }
  for (int j = 0; j < tile; j++) sums[j] = own[j];
}

/* `tile_of` with the widths that occur known to the compiler, so that it can reckon every address beforehand. */
static inline __attribute__((always_inline)) void tile_in(Vector *sums, Vector *const *rows, long at,
                                                          const Vector *weights, int width, const int tile) {
  switch (width) {
    case 1: return tile_of(sums, rows, at, weights, 1, tile);
    case 2: return tile_of(sums, rows, at, weights, 2, tile);
    case 4: return tile_of(sums, rows, at, weights, 4, tile);
    case 8: return tile_of(sums, rows, at, weights, 8, tile);
    default: return tile_of(sums, rows, at, weights, LANES, tile);
  }
}

/* Adds to the gradients of three weights in a row, for `inputs` of a group's inputs, what a row of outputs gives. */
static inline __attribute__((always_inline)) void row_of(Vector *to, const Vector *copies, const Vector *gradient,
                                                         const Shape *shape, const int inputs) {
  int width = shape->width;
  Vector own[3][4];
  for (int kx = 0; kx < 3; kx++)
    for (int i = 0; i < inputs; i++) own[kx][i] = to[kx * width + i];
  for (long x = 0; x < shape->columns; x++)
    for (int kx = 0; kx < 3; kx++)
      for (int i = 0; i < inputs; i++) own[kx][i] += copies[(x + kx) * width + i] * gradient[x];
  for (int kx = 0; kx < 3; kx++)
    for (int i = 0; i < inputs; i++) to[kx * width + i] = own[kx][i];
}

/* Asks for one part of so many of the next image's map, which are taken in strides that the processor does not foresee. */
static inline void ask_for(const void *next, long bytes, long part, long parts) {
  const char *at = (const char *)next + bytes * part / parts, *stop = (const char *)next + bytes * (part + 1) / parts;
  for (; at < stop; at += 64) __builtin_prefetch(at, 0, 2);
}

#define KIND float
#define NAME(f) f##_float32
#include "grouped.c"
#undef KIND
#undef NAME
#define KIND uint16_t
#define NAME(f) f##_bfloat16
#include "grouped.c"

#else

/* Makes the copies of LANES channels of the row below this one, and says where the three are that it needs. The first row
 * makes those above and of itself as well. */
static void NAME(advance)(Vector *room, Vector **lines, const KIND *maps, const Shape *shape, const Places *places,
                          long row) {
  long line = line_of(shape), width = shape->width;
  for (long next = row ? row + 1 : -1; next <= row + 1; next++) {
    Vector *to = room + (next + 3) % 3 * line;
    if (next < 0 || next == shape->rows) {
      memset(to, 0, line * sizeof(Vector));
      continue;
    }
    const KIND *from = maps + next * shape->columns * shape->channels;
    memset(to, 0, width * sizeof(Vector));
    memset(to + line - width, 0, width * sizeof(Vector));
    for (long x = 0; x < shape->columns; x++) {
      Vector values = NAME(get)(from + x * shape->channels);
      for (int input = 0; input < width; input++)
        to[(x + 1) * width + input] = __builtin_shuffle(values, places[input]);
    }
  }
  for (int ky = 0; ky < 3; ky++) lines[ky] = room + (row + ky + 2) % 3 * line;
}

/* One row of outputs, LANES channels of it. */
static void NAME(outputs)(KIND *to, Vector *const *lines, const Vector *weights, const Shape *shape) {
  Vector sums[TILE];
  long at = 0;
  for (; at + TILE <= shape->columns; at += TILE) {
    tile_in(sums, lines, at, weights, shape->width, TILE);
    for (int j = 0; j < TILE; j++) NAME(put)(to + (at + j) * shape->channels, sums[j]);
  }
  for (; at < shape->columns; at++) {
    tile_in(sums, lines, at, weights, shape->width, 1);
    NAME(put)(to + at * shape->channels, sums[0]);
  }
}

/* The convolution of x. Returns 0, or 1 where there is no memory. */
int NAME(grouped_forward)(const KIND *x, KIND *y, const float *weights, const Shape *shape) {
  int threads = shape->threads, failed = 0;
  long line = shape->columns * shape->channels, map = shape->rows * line;
  Places places[LANES];
  find_places(places, shape->width);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1) reduction(| : failed)
  for (int t = 0; t < threads; t++) {
    Vector *room = room_for(3 * line_of(shape)), *lines[3];
    if (!room) failed = 1;
    for (long image = begin(shape->batch, t, threads); room && image < begin(shape->batch, t + 1, threads); image++)
      for (int channel = 0; channel < shape->channels; channel += LANES) {
        const Vector *own = (const Vector *)weights + (long)channel / LANES * 9 * shape->width;
        for (long row = 0; row < shape->rows; row++) {
          long part = channel / LANES * shape->rows + row, parts = shape->channels / LANES * shape->rows;
          ask_for(x + (image + 1) * map, map * sizeof(KIND), part, parts);
          ask_for(y + (image + 1) * map, map * sizeof(KIND), part, parts);
          NAME(advance)(room, lines, x + image * map + channel, shape, places, row);
          NAME(outputs)(y + image * map + row * line + channel, lines, own, shape);
        }
      }
    free(room);
  }
  return failed;
}

/* The gradient of the weights, packed as they are, from x and the gradient of y. Sums are in float32, each thread's for
 * its own images, added in the threads' order. Returns 0, or 1 where there is no memory. */
int NAME(grouped_weights)(const KIND *x, const KIND *gradient, float *to_weights, const Shape *shape) {
  int threads = shape->threads, width = shape->width, failed = 0;
  long line = shape->columns * shape->channels, map = shape->rows * line;
  long packed = (long)shape->channels / LANES * 9 * width;
  Vector *all = room_for(packed * threads);
  if (!all) return 1;
  memset(all, 0, packed * threads * sizeof(Vector));
  Places places[LANES];
  find_places(places, width);
#pragma omp parallel for num_threads(threads) schedule(static, 1) if (threads > 1) reduction(| : failed)
  for (int t = 0; t < threads; t++) {
    Vector *room = room_for(3 * line_of(shape) + shape->columns), *lines[3], *own = room + 3 * line_of(shape);
    if (!room) failed = 1;
    for (long image = begin(shape->batch, t, threads); room && image < begin(shape->batch, t + 1, threads); image++)
      for (int channel = 0; channel < shape->channels; channel += LANES)
        for (long row = 0; row < shape->rows; row++) {
          long part = channel / LANES * shape->rows + row, parts = shape->channels / LANES * shape->rows;
          ask_for(x + (image + 1) * map, map * sizeof(KIND), part, parts);
          ask_for(gradient + (image + 1) * map, map * sizeof(KIND), part, parts);
          NAME(advance)(room, lines, x + image * map + channel, shape, places, row);
          const KIND *given = gradient + image * map + row * line + channel;
          for (long at = 0; at < shape->columns; at++) own[at] = NAME(get)(given + at * shape->channels);
          for (int ky = 0; ky < 3; ky++) {
            Vector *sums = all + packed * t + ((long)channel / LANES * 3 + ky) * 3 * width;
            if (width >= 4)
              for (int input = 0; input < width; input += 4)
                row_of(sums + input, lines[ky] + input, own, shape, 4);
            else if (width == 2)
              row_of(sums, lines[ky], own, shape, 2);
            else
              row_of(sums, lines[ky], own, shape, 1);
          }
        }
    free(room);
  }
  for (long i = 0; i < packed; i++) {
    Vector sum = all[i];
    for (int t = 1; t < threads; t++) sum += all[packed * t + i];
    memcpy(to_weights + i * LANES, &sum, sizeof sum);
  }
  free(all);
  return failed;
}
#endif
