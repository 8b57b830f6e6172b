/* pmn_sift_extremes - values of the differences that none of their 26 neighbours surpasses, refined: Lowe's sections 3.1, 4
 * and 4.1, with the conventions of pmn_sift_points.c.
 *
 *   H offset = -g    first and second derivatives of the differences; by Cramer's rule. Moved by whole values until the
 *                    offset is below a half each way, five times at most
 *   value = D + g offset / 2,   3 |value| >= 0.04;   tr(H)^2 10 < 11^2 det(H), det(H) > 0, of the 2 x 2 matrix in x, y
 *
 * One work-item: one value of one layer. Most values are below the threshold, and two reads settle them.
 *   global id 0: x - 5; 1: y - 5; 2: picture * 3 + layer - 1.   Any local size; ids past the last do nothing.
 *
 * Places are appended in any order: *count is how many there are, of which the first `capacity` are written.
 * Preconditions: a plane has fewer than 2^31 values.
 */
#define PMN_STEPS 5

typedef struct derivatives {
  float x, y, s, xx, yy, ss, xy, xs, ys;
} derivatives;

/* Nine values of a difference around p, in rows. */
static void around(const __global float *p, const ulong layer_size, const int stride, float *d) {
  const __global float *next = p + layer_size;
  for (int j = -1; j <= 1; j++) {
    for (int i = -1; i <= 1; i++) d[3 * j + i + 4] = next[j * stride + i] - p[j * stride + i];
  }
}

static bool surpassed(const float value, const float *d) {
  for (int i = 0; i < 9; i++) {
    if (value > 0.0f ? d[i] > value : d[i] < value) return true;
  }
  return false;
}

static derivatives derive(const float *down, const float *d, const float *up) {
  const float whole = 1 / 255.0f, half_step = whole / 2, quarter = whole / 4;
  derivatives g;
  g.x = (d[5] - d[3]) * half_step;
  g.y = (d[7] - d[1]) * half_step;
  g.s = (up[4] - down[4]) * half_step;
  g.xx = (d[5] + d[3] - 2 * d[4]) * whole;
  g.yy = (d[7] + d[1] - 2 * d[4]) * whole;
  g.ss = (up[4] + down[4] - 2 * d[4]) * whole;
  g.xy = (d[8] - d[6] - d[2] + d[0]) * quarter;
  g.xs = (up[5] - up[3] - down[5] + down[3]) * quarter;
  g.ys = (up[7] - up[1] - down[7] + down[1]) * quarter;
  return g;
}

/* x, y and layer of the peak. */
static float4 solve(const derivatives d) {
  const float a = d.yy * d.ss - d.ys * d.ys, b = d.xs * d.ys - d.xy * d.ss, c = d.xy * d.ys - d.xs * d.yy;
  const float e = d.xx * d.ss - d.xs * d.xs, f = d.xy * d.xs - d.xx * d.ys, g = d.xx * d.yy - d.xy * d.xy;
  const float determinant = d.xx * a + d.xy * b + d.xs * c;
  if (determinant == 0.0f) return (float4)(0.0f);
  return (float4)(-(a * d.x + b * d.y + c * d.s) / determinant, -(b * d.x + e * d.y + f * d.s) / determinant,
      -(c * d.x + f * d.y + g * d.s) / determinant, 0.0f);
}

static bool within(const float4 o, const float limit) {
  return fabs(o.x) < limit && fabs(o.y) < limit && fabs(o.z) < limit; /* NaN is not */
}

/* True for a place that becomes a keypoint; `base` is layer 0 of its plane. */
static bool refine(
    const __global float *base, const ulong layer_size, const pmn_plane plane, pmn_sift_place *place) {
  derivatives d;
  float4 o;
  float now[9], up[9], down[9];
  for (int step = 0;; step++) {
    if (step == PMN_STEPS) return false;
    const __global float *p = base + (ulong)place->layer * layer_size + (ulong)(place->y * plane.width + place->x);
    around(p, layer_size, plane.width, now);
    around(p + layer_size, layer_size, plane.width, up);
    around(p - layer_size, layer_size, plane.width, down);
    d = derive(down, now, up);
    o = solve(d);
    if (within(o, 0.5f)) break;
    if (!within(o, 1e6f)) return false;
    place->x += convert_int_rte(o.x);
    place->y += convert_int_rte(o.y);
    place->layer += convert_int_rte(o.z);
    if (place->layer < 1 || place->layer > PMN_SIFT_LAYERS || place->x < PMN_SIFT_BORDER ||
        place->x >= plane.width - PMN_SIFT_BORDER || place->y < PMN_SIFT_BORDER ||
        place->y >= plane.height - PMN_SIFT_BORDER) {
      return false;
    }
  }
  place->off_x = o.x;
  place->off_y = o.y;
  place->off_layer = o.z;
  place->value = now[4] / 255.0f + 0.5f * (d.x * o.x + d.y * o.y + d.s * o.z);
  if (fabs(place->value) * PMN_SIFT_LAYERS < 0.04f) return false;
  const float trace = d.xx + d.yy, determinant = d.xx * d.yy - d.xy * d.xy;
  return determinant > 0.0f && trace * trace * 10.0f < 11.0f * 11.0f * determinant;
}

__kernel void pmn_sift_extremes(const __global float *restrict layers, const ulong layer_size,
    const __global pmn_plane *restrict planes, const int pictures, const int octave, const float threshold,
    __global pmn_sift_place *restrict places, __global uint *restrict count, const uint capacity) {
  pmn_sift_place place = {.octave = octave};
  place.x = (int)get_global_id(0) + PMN_SIFT_BORDER;
  place.y = (int)get_global_id(1) + PMN_SIFT_BORDER;
  place.picture = (int)get_global_id(2) / PMN_SIFT_LAYERS;
  place.layer = (int)get_global_id(2) % PMN_SIFT_LAYERS + 1;
  const pmn_plane plane = planes[octave * pictures + place.picture];
  if (place.x >= plane.width - PMN_SIFT_BORDER || place.y >= plane.height - PMN_SIFT_BORDER) return;
  const __global float *base = layers + plane.offset;
  const __global float *p = base + (ulong)place.layer * layer_size + (ulong)(place.y * plane.width + place.x);
  const float value = p[layer_size] - p[0];
  float d[9];
  if (!(fabs(value) > threshold)) return;
  around(p, layer_size, plane.width, d);
  if (surpassed(value, d)) return;
  around(p - layer_size, layer_size, plane.width, d);
  if (surpassed(value, d)) return;
  around(p + layer_size, layer_size, plane.width, d);
  if (surpassed(value, d) || !refine(base, layer_size, plane, &place)) return;
  const uint at = atomic_inc(count);
  if (at < capacity) places[at] = place;
}
