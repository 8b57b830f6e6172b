/* pmn_sift_describe - the descriptors of keypoints: Lowe's section 6.
 *
 * A patch around the keypoint's pixel, turned by its direction, is cut into 4 x 4 cells of 3 scales. Each gradient, weighted
 * by exp(-1/2 (its distance / 2 cells)^2), is shared linearly between the cells and the 8 directions around it. With
 *   row = 5/2 + (y cos + x sin) / cell,   column = 5/2 + (x cos - y sin) / cell
 * cell (r, c), 1 to 4 each way, has the gradients with |row - r| < 1 and |column - c| < 1. Then: to length 1, no direction
 * above 0.2, to length 512, in bytes.
 *
 * One work-group: one keypoint, 16 cells of PMN_LANES work-items. A cell gathers: its work-items take every PMN_LANES-th
 * pixel of the box around it and add to directions of their own, in local memory, which are then added up in the order of
 * the work-items. So nothing is written by two, and no sum depends on chance. Pixels are looked at by up to four cells; that
 * costs less than atomic sums would.
 *   local size (16 * PMN_LANES, 1, 1); group 0: keypoint.
 *
 * Preconditions: a plane has fewer than 2^31 values.
 */
#ifndef PMN_LANES
#define PMN_LANES 4
#endif
#define PMN_ITEMS (16 * PMN_LANES)
#define PMN_TURNS 8

/* A cell, and the pixels around the keypoint's in which its gradients are. */
typedef struct pmn_cell {
  int row, column, top, bottom, left, right;
} pmn_cell;

static pmn_cell cell_of(const int index, const float cosine, const float sine, const float size) {
  pmn_cell cell;
  cell.row = index / 4 + 1;
  cell.column = index % 4 + 1;
  const float down = (float)cell.row - 2.5f, across = (float)cell.column - 2.5f;
  const float y = (down * cosine - across * sine) * size, x = (down * sine + across * cosine) * size;
  const float reach = (fabs(cosine) + fabs(sine)) * size;
  cell.top = (int)floor(y - reach);
  cell.bottom = (int)ceil(y + reach);
  cell.left = (int)floor(x - reach);
  cell.right = (int)ceil(x + reach);
  return cell;
}

/* To bytes, by all work-items; `all` is [16][PMN_TURNS], sums [PMN_TURNS]. */
static void normalise(__local float *all, __local float *sums, const int item, __global uchar *descriptor) {
  float norm = 0.0f;
  for (int pass = 0; pass < 2; pass++) {
    const float most = 0.2f * sqrt(norm);
    for (int i = item; pass == 1 && i < 16 * PMN_TURNS; i += PMN_ITEMS) all[i] = fmin(all[i], most);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < PMN_TURNS) {
      float sum = 0.0f;
      for (int cell = 0; cell < 16; cell++) sum += all[cell * PMN_TURNS + item] * all[cell * PMN_TURNS + item];
      sums[item] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    norm = 0.0f;
    for (int t = 0; t < PMN_TURNS; t++) norm += sums[t];
  }
  const float factor = 512.0f / fmax(sqrt(norm), 1.1920929e-7f);
  for (int i = item; i < 16 * PMN_TURNS; i += PMN_ITEMS) descriptor[i] = (uchar)rint(fmin(all[i] * factor, 255.0f));
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_sift_describe(
    const __global float *restrict layers, const ulong layer_size, const __global pmn_plane *restrict planes,
    const int pictures, const __global pmn_sift_point *restrict points, __global uchar *restrict descriptors) {
  /* Directions as [turn][item], the first once more at the end. */
  __local float own[(PMN_TURNS + 1) * PMN_ITEMS], weights[PMN_SIFT_REACH], all[16 * PMN_TURNS], sums[PMN_TURNS];
  const int item = (int)get_local_id(0), lane = item % PMN_LANES;
  const pmn_sift_point point = points[get_group_id(0)];
  const pmn_plane plane = planes[(point.keypoint_octave + 1) * pictures + point.picture];
  const float size = 3 * point.scale;
  const float cosine = cos(2 * M_PI_F * point.turn), sine = sin(2 * M_PI_F * point.turn);
  const int radius = convert_int_rte(size * 1.41421356f * 5 * 0.5f);
  const __global float *at =
      layers + (ulong)point.layer * layer_size + plane.offset + (ulong)(point.y * plane.width + point.x);
  pmn_cell cell = cell_of(item / PMN_LANES, cosine, sine, size);
  cell.top = max(cell.top, max(-radius, 1 - point.y));
  cell.bottom = min(cell.bottom, min(radius, plane.height - 2 - point.y));
  cell.left = max(cell.left, max(-radius, 1 - point.x));
  cell.right = min(cell.right, min(radius, plane.width - 2 - point.x));

  pmn_weigh(weights, radius, 2 * size);
  for (int t = 0; t <= PMN_TURNS; t++) own[t * PMN_ITEMS + item] = 0.0f;
  barrier(CLK_LOCAL_MEM_FENCE);
  const int columns = cell.right - cell.left + 1;
  const int count = columns > 0 ? columns * (cell.bottom - cell.top + 1) : 0;
  for (int k = lane; k < count; k += PMN_LANES) {
    const int y = cell.top + k / columns, x = cell.left + k % columns;
    const float row = 2.5f + (float)y * (cosine / size) + (float)x * (sine / size);
    const float column = 2.5f - (float)y * (sine / size) + (float)x * (cosine / size);
    const float r = floor(row), c = floor(column), r1 = row - r, c1 = column - c;
    const int below = cell.row - (int)r, right = cell.column - (int)c; /* 0 and 1 are shares of this cell */
    if (below < 0 || below > 1 || right < 0 || right > 1) continue;
    float turn;
    const float length = pmn_gradient(at + y * plane.width + x, plane.width, &turn);
    const float weighted = length * (weights[abs(y)] * weights[abs(x)]);
    const float lower = weighted * r1, in_row = below == 1 ? lower : weighted - lower;
    const float righter = in_row * c1, share = right == 1 ? righter : in_row - righter;
    turn = (turn - point.turn) * PMN_TURNS;
    turn = turn < 0.0f ? turn + PMN_TURNS : turn;
    const int t = (int)turn;
    const float t1 = turn - (float)t;
    __local float *bin = own + (t & (PMN_TURNS - 1)) * PMN_ITEMS + item;
    bin[0] += share * (1.0f - t1);
    bin[PMN_ITEMS] += share * t1;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < 16 * PMN_TURNS; i += PMN_ITEMS) {
    const __local float *bins = own + i % PMN_TURNS * PMN_ITEMS + i / PMN_TURNS * PMN_LANES;
    float sum = 0.0f;
    for (int l = 0; l < PMN_LANES; l++) sum += bins[l];
    for (int l = 0; i % PMN_TURNS == 0 && l < PMN_LANES; l++) sum += bins[PMN_TURNS * PMN_ITEMS + l];
    all[i] = sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  normalise(all, sums, item, descriptors + (ulong)get_group_id(0) * 16 * PMN_TURNS);
}
