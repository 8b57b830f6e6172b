/* pmn_sift_directions - a keypoint for each direction of a place that is at least 0.8 of its strongest: Lowe's section 5.
 *
 *   scale = 1.6 2^((layer + offset) / 3), in pixels of the octave;   sigma = 1.5 scale
 *   bin[b] = sum of |gradient| exp(-(x^2 + y^2) / (2 sigma^2)) over the gradients of direction b / 36, within 3 sigma each way
 *   smoothed by 1 4 6 4 1; a parabola through three bins says where a peak is
 *
 * One work-group: one place. Its work-items make a gradient each, PMN_ITEMS at a time, into local memory; then each adds
 * those of its own bin in the order of the pixels. So no sum depends on chance, or on PMN_ITEMS.
 *   local size (PMN_ITEMS, 1, 1); group 0: place.
 *
 * Keypoints are appended in any order: *count is how many there are, of which the first `capacity` are written.
 * Preconditions: a plane has fewer than 2^31 values.
 */
#define PMN_ITEMS 64
#define PMN_BINS 36

/* The peak at bin b as a keypoint. */
static pmn_sift_point point_of(const pmn_sift_place place, const float scale, const float bin) {
  const float unit = ldexp(1.0f, place.octave - 1), angle = 360.0f - bin * (360.0f / PMN_BINS);
  pmn_sift_point point;
  point.keypoint_x = ((float)place.x + place.off_x) * unit;
  point.keypoint_y = ((float)place.y + place.off_y) * unit;
  point.size = 2 * scale * unit;
  point.angle = angle < 360.0f ? angle : 0.0f;
  point.response = fabs(place.value);
  point.keypoint_octave = place.octave - 1;
  point.picture = place.picture;
  point.layer = place.layer;
  point.y = place.y;
  point.x = place.x;
  point.scale = scale;
  point.turn = bin / PMN_BINS;
  return point;
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_sift_directions(
    const __global float *restrict layers, const ulong layer_size, const __global pmn_plane *restrict planes,
    const int pictures, const __global pmn_sift_place *restrict places, __global pmn_sift_point *restrict points,
    __global uint *restrict count, const uint capacity) {
  __local float weights[PMN_SIFT_REACH], lengths[PMN_ITEMS], raw[PMN_BINS], smoothed[PMN_BINS];
  __local int bins[PMN_ITEMS];
  const int item = (int)get_local_id(0);
  const pmn_sift_place place = places[get_group_id(0)];
  const pmn_plane plane = planes[place.octave * pictures + place.picture];
  const float scale = 1.6f * pmn_exp2(((float)place.layer + place.off_layer) / PMN_SIFT_LAYERS), sigma = 1.5f * scale;
  const int radius = convert_int_rte(3 * sigma);
  const int top = max(-radius, 1 - place.y), bottom = min(radius, plane.height - 2 - place.y);
  const int left = max(-radius, 1 - place.x), right = min(radius, plane.width - 2 - place.x);
  const int columns = right - left + 1, size = columns * (bottom - top + 1);
  const __global float *at =
      layers + (ulong)place.layer * layer_size + plane.offset + (ulong)(place.y * plane.width + place.x);

  pmn_weigh(weights, radius, sigma);
  float sum = 0.0f;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int first = 0; first < size; first += PMN_ITEMS) {
    const int k = first + item, y = top + k / columns, x = left + k % columns;
    if (k < size) {
      float turn;
      const float length = pmn_gradient(at + y * plane.width + x, plane.width, &turn);
      lengths[item] = length * (weights[abs(y)] * weights[abs(x)]);
      bins[item] = (int)(turn * PMN_BINS + 0.5f) % PMN_BINS;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; item < PMN_BINS && i < min(PMN_ITEMS, size - first); i++) {
      if (bins[i] == item) sum += lengths[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (item < PMN_BINS) raw[item] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item < PMN_BINS) {
    const int far_left = (item + PMN_BINS - 2) % PMN_BINS, near_left = (item + PMN_BINS - 1) % PMN_BINS;
    const int near_right = (item + 1) % PMN_BINS, far_right = (item + 2) % PMN_BINS;
    smoothed[item] =
        (raw[far_left] + raw[far_right]) / 16 + (raw[near_left] + raw[near_right]) / 4 + raw[item] * 6 / 16;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item >= PMN_BINS) return;
  float strongest = 0.0f;
  for (int b = 0; b < PMN_BINS; b++) strongest = fmax(strongest, smoothed[b]);
  const float before = smoothed[(item + PMN_BINS - 1) % PMN_BINS], now = smoothed[item];
  const float after = smoothed[(item + 1) % PMN_BINS];
  if (now <= before || now <= after || now < 0.8f * strongest) return;
  float bin = (float)item + 0.5f * (before - after) / (before - 2 * now + after);
  if (bin < 0.0f) bin += PMN_BINS;
  if (bin >= PMN_BINS) bin -= PMN_BINS;
  const uint to = atomic_inc(count);
  if (to < capacity) points[to] = point_of(place, scale, bin);
}
