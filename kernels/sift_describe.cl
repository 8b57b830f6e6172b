/* pmn_sift_describe - the descriptors of keypoints: Lowe's section 6.
 *
 * A patch around the keypoint's pixel, turned by its direction, is cut into 4 x 4 cells of 3 scales. Each gradient, weighted
 * by exp(-1/2 (its distance / 2 cells)^2), is shared linearly between the cells and the 8 directions around it. With
 *   row = 5/2 + (y cos + x sin) / cell,   column = 5/2 + (x cos - y sin) / cell
 * cell (r, c), 1 to 4 each way, has the gradients with |row - r| < 1 and |column - c| < 1. Then: to length 1, no direction
 * above 0.2, to length 512, in bytes.
 *
 * One work-group: one keypoint, 16 cells of 8 work-items. A cell gathers: its work-items each look at a pixel of the box
 * around it, 8 at a time, into local memory; then each adds the shares of its own direction, in the order of the pixels. So
 * nothing is written by two, and no sum depends on chance. Pixels are looked at by up to four cells; that costs less than
 * atomic sums would.
 *   local size (128, 1, 1); group 0: keypoint.
 *
 * Preconditions: a plane has fewer than 2^31 values.
 */
#define PMN_TURNS 8
#define PMN_ITEMS (16 * PMN_TURNS)

/* What a pixel gives a cell: of the two directions around its own, `turn` and the next. */
typedef struct pmn_share {
  float first, second;
  int turn; /* -1: nothing */
} pmn_share;

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
  const float reach = (fabs(cosine) + fabs(sine)) * size + 0.01f; /* whatever rounding does */
  cell.top = (int)floor(y - reach);
  cell.bottom = (int)ceil(y + reach);
  cell.left = (int)floor(x - reach);
  cell.right = (int)ceil(x + reach);
  return cell;
}

/* The share of the pixel at (y, x) from the keypoint's, where p is; cosine and sine are divided by the size of a cell. */
static pmn_share share_of(const __global float *p, const int stride, const int y, const int x, const pmn_cell cell,
    const float cosine, const float sine, const float patch_turn, const __local float *weights) {
  pmn_share share = {0.0f, 0.0f, -1};
  const float row = 2.5f + (float)y * cosine + (float)x * sine, column = 2.5f - (float)y * sine + (float)x * cosine;
  const float r = floor(row), c = floor(column), r1 = row - r, c1 = column - c;
  const int below = cell.row - (int)r, right = cell.column - (int)c; /* 0 and 1 are shares of this cell */
  if (below < 0 || below > 1 || right < 0 || right > 1) return share;
  float turn;
  const float length = pmn_gradient(p + y * stride + x, stride, &turn);
  const float all = length * (weights[abs(y)] * weights[abs(x)]);
  const float lower = all * r1, in_row = below == 1 ? lower : all - lower;
  const float righter = in_row * c1, part = right == 1 ? righter : in_row - righter;
  turn = (turn - patch_turn) * PMN_TURNS;
  turn = turn < 0.0f ? turn + PMN_TURNS : turn;
  const float t1 = turn - (float)(int)turn;
  share.first = part * (1.0f - t1);
  share.second = part * t1;
  share.turn = (int)turn & (PMN_TURNS - 1);
  return share;
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
  __local float weights[PMN_SIFT_REACH], all[PMN_ITEMS], sums[PMN_TURNS];
  __local pmn_share shares[PMN_ITEMS];
  __local int most;
  const int item = (int)get_local_id(0), own = item % PMN_TURNS, first_item = item - own;
  const pmn_sift_point point = points[get_group_id(0)];
  const pmn_plane plane = planes[(point.keypoint_octave + 1) * pictures + point.picture];
  const float size = 3 * point.scale;
  const int radius = convert_int_rte(size * 1.41421356f * 5 * 0.5f);
  const __global float *at =
      layers + (ulong)point.layer * layer_size + plane.offset + (ulong)(point.y * plane.width + point.x);
  float cosine, sine;
  pmn_cosine_sine(point.turn, &cosine, &sine);
  pmn_cell cell = cell_of(item / PMN_TURNS, cosine, sine, size);
  cell.top = max(cell.top, max(-radius, 1 - point.y));
  cell.bottom = min(cell.bottom, min(radius, plane.height - 2 - point.y));
  cell.left = max(cell.left, max(-radius, 1 - point.x));
  cell.right = min(cell.right, min(radius, plane.width - 2 - point.x));
  cosine /= size;
  sine /= size;

  const int columns = cell.right - cell.left + 1, rows = cell.bottom - cell.top + 1;
  const int count = columns > 0 && rows > 0 ? columns * rows : 0;
  if (item == 0) most = 0;
  pmn_weigh(weights, radius, 2 * size);
  barrier(CLK_LOCAL_MEM_FENCE);
  atomic_max(&most, count); /* all cells take part in the barriers of the largest one */
  barrier(CLK_LOCAL_MEM_FENCE);
  float sum = 0.0f, sum_last = 0.0f; /* of this direction; direction 0 has another half behind the last one */
  for (int first = 0; first < most; first += PMN_TURNS) {
    const int k = first + own;
    shares[item].turn = -1;
    if (k < count) {
      shares[item] = share_of(at, plane.width, cell.top + k / columns, cell.left + k % columns, cell, cosine, sine,
          point.turn, weights);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < PMN_TURNS; i++) {
      const pmn_share share = shares[first_item + i];
      if (share.turn == own) sum += share.first;
      if (share.turn >= 0 && share.turn + 1 == own) sum += share.second;
      if (share.turn == PMN_TURNS - 1 && own == 0) sum_last += share.second;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  all[item] = own == 0 ? sum + sum_last : sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  normalise(all, sums, item, descriptors + (ulong)get_group_id(0) * PMN_ITEMS);
}
