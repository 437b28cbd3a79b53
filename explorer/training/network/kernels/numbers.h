/* Numbers as the maps keep them, and as the kernels compute with them: in float32. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline float load_float32(float value) { return value; }
static inline float store_float32(float value) { return value; }

static inline float load_bfloat16(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float found;
  memcpy(&found, &bits, sizeof found);
  return found;
}

/* Round to the nearest, ties to even; what is not a number stays so. */
static inline uint16_t store_bfloat16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)(value != value ? 0x7fc0 : rounded);
}

/* Where a thread's share of the items begins. */
static inline long begin(long items, int thread, int threads) { return items * thread / threads; }
