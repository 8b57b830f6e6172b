/* pmn_onnx_view.c - see pmn_onnx_view.h. */
#include "pmn_onnx_view.h"

#include "pmn_mem.h"

/* Elements are moved by copies of three loops each; an order that takes more copies than this has no use in networks of
 * pictures. */
enum { COPIES_MAX = 4096, STEPS_MAX = 2 * PMN_ONNX_FACTORS_MAX + PMN_ONNX_RANK_MAX };

/* -------------------------------------------------------------------------------------------------- layouts -- */

pmn_onnx_layout pmn_onnx_layout_init(int32_t h, int32_t w, int32_t c) {
  return (pmn_onnx_layout){.h = h, .w = w, .c = c};
}

bool pmn_onnx_layout_append(pmn_onnx_layout *layout, int64_t extent, int64_t stride) {
  if (extent == 1) return true;
  if (layout->count > 0) {
    pmn_onnx_factor *last = &layout->factors[layout->count - 1];
    if (last->stride == extent * stride) {
      *last = (pmn_onnx_factor){.extent = last->extent * extent, .stride = stride};
      return true;
    }
  }
  if (layout->count == PMN_ONNX_FACTORS_MAX) return false;
  layout->factors[layout->count++] = (pmn_onnx_factor){.extent = extent, .stride = stride};
  return true;
}

pmn_onnx_layout pmn_onnx_layout_image(int32_t h, int32_t w, int32_t c) {
  pmn_onnx_layout layout = pmn_onnx_layout_init(h, w, c);
  pmn_onnx_layout_append(&layout, c, 1);
  pmn_onnx_layout_append(&layout, (int64_t)h * w, c);
  return layout;
}

pmn_onnx_layout pmn_onnx_layout_flat(int32_t h, int32_t w, int32_t c) {
  pmn_onnx_layout layout = pmn_onnx_layout_init(h, w, c);
  pmn_onnx_layout_append(&layout, (int64_t)h * w * c, 1);
  return layout;
}

static bool factors_equal(const pmn_onnx_layout *a, const pmn_onnx_layout *b) {
  bool equal = a->count == b->count;
  for (int32_t i = 0; equal && i < a->count; i++)
    equal = a->factors[i].extent == b->factors[i].extent && a->factors[i].stride == b->factors[i].stride;
  return equal;
}

bool pmn_onnx_layout_equal(const pmn_onnx_layout *a, const pmn_onnx_layout *b) {
  return a->h == b->h && a->w == b->w && a->c == b->c && factors_equal(a, b);
}

/* ---------------------------------------------------------------------------------------------------- views -- */

pmn_onnx_view pmn_onnx_view_image(const pmn_graph *graph, pmn_node node) {
  pmn_tensor t = pmn_graph_shape(graph, node);
  return (pmn_onnx_view){
      .node = node, .layout = pmn_onnx_layout_image(t.h, t.w, t.c), .rank = 4, .dims = {1, t.c, t.h, t.w}};
}

pmn_onnx_view pmn_onnx_view_flat(const pmn_graph *graph, pmn_node node, const int64_t *dims, int32_t rank) {
  pmn_tensor t = pmn_graph_shape(graph, node);
  pmn_onnx_view view = {.node = node, .layout = pmn_onnx_layout_flat(t.h, t.w, t.c), .rank = rank};
  for (int32_t d = 0; d < rank; d++) view.dims[d] = dims[d];
  return view;
}

int64_t pmn_onnx_view_size(const pmn_onnx_view *view) {
  return (int64_t)view->layout.h * view->layout.w * view->layout.c;
}

bool pmn_onnx_view_cut(const pmn_onnx_view *view, pmn_onnx_cut *cut) {
  /* From the last dimension to the first, factors from the innermost: each gives the dimension what it still lacks. */
  pmn_onnx_factor reversed[PMN_ONNX_FACTORS_MAX + PMN_ONNX_RANK_MAX];
  int32_t count = 0, from_end[PMN_ONNX_RANK_MAX + 1] = {0}, next = view->layout.count - 1;
  pmn_onnx_factor left = {.extent = 1, .stride = 0};
  for (int32_t d = view->rank - 1; d >= 0; d--) {
    int64_t lacking = view->dims[d];
    while (lacking > 1) {
      if (left.extent == 1) {
        if (next < 0) return false;
        left = view->layout.factors[next--];
      }
      bool whole = lacking % left.extent == 0;
      if (!whole && left.extent % lacking != 0) return false;
      int64_t taken = whole ? left.extent : lacking;
      reversed[count++] = (pmn_onnx_factor){.extent = taken, .stride = left.stride};
      left = (pmn_onnx_factor){.extent = left.extent / taken, .stride = left.stride * taken};
      lacking /= taken;
    }
    from_end[d] = count;
  }
  for (int32_t d = 0; d < view->rank; d++) cut->first[d] = count - from_end[d];
  cut->first[view->rank] = count;
  for (int32_t i = 0; i < count; i++) cut->factors[i] = reversed[count - 1 - i];
  return true;
}

/* Any shape [h, w, c] of `size` floats that a network may have between layers. */
static pmn_onnx_layout layout_of_row(int64_t size) {
  return pmn_onnx_layout_flat(1, 1, (int32_t)size);
}

bool pmn_onnx_view_settle(pmn_onnx_view *view, pmn_graph *graph, pmn_onnx_cut *cut) {
  if (pmn_onnx_view_cut(view, cut)) return true;
  pmn_onnx_layout row = layout_of_row(pmn_onnx_view_size(view));
  return pmn_onnx_view_arrange(view, graph, NULL, &row) && pmn_onnx_view_cut(view, cut);
}

/* ------------------------------------------------------------------------------------------------- moving -- */

/* One loop of a copy; a list of them is a nest, outermost first. */
typedef struct step {
  int64_t extent, in, out;
} step;

typedef struct nest {
  step steps[STEPS_MAX];
  int32_t count;
} nest;

static void nest_append(nest *n, int64_t extent, int64_t in, int64_t out) {
  if (extent == 1) return;
  step *last = n->count > 0 ? &n->steps[n->count - 1] : NULL;
  if (last != NULL && last->in == extent * in && last->out == extent * out) {
    *last = (step){.extent = last->extent * extent, .in = in, .out = out};
  } else {
    n->steps[n->count++] = (step){.extent = extent, .in = in, .out = out};
  }
}

/* The loops that take `from` to `to`, both of one logical order; false if the factors of one do not divide those of the
 * other. */
static bool nest_refine(const pmn_onnx_layout *from, const pmn_onnx_layout *to, nest *n) {
  step reversed[STEPS_MAX];
  int32_t count = 0, i = from->count - 1, j = to->count - 1;
  pmn_onnx_factor a = {.extent = 1}, b = {.extent = 1};
  for (;;) {
    if (a.extent == 1 && i >= 0) a = from->factors[i--];
    if (b.extent == 1 && j >= 0) b = to->factors[j--];
    if (a.extent == 1 || b.extent == 1) break;
    int64_t taken = a.extent < b.extent ? a.extent : b.extent;
    if (a.extent % taken != 0 || b.extent % taken != 0) return false;
    reversed[count++] = (step){.extent = taken, .in = a.stride, .out = b.stride};
    a = (pmn_onnx_factor){.extent = a.extent / taken, .stride = a.stride * taken};
    b = (pmn_onnx_factor){.extent = b.extent / taken, .stride = b.stride * taken};
  }
  n->count = 0;
  while (count-- > 0) nest_append(n, reversed[count].extent, reversed[count].in, reversed[count].out);
  return a.extent == 1 && b.extent == 1;
}

/* Brings the three longest loops to the end; gives how often they are to be run. */
static int64_t nest_longest_last(nest *n) {
  for (int32_t at = n->count - 1; at >= 0 && at >= n->count - 3; at--) {
    int32_t longest = at;
    for (int32_t i = 0; i < at; i++)
      if (n->steps[i].extent > n->steps[longest].extent) longest = i;
    step moved = n->steps[longest];
    for (int32_t i = longest; i < at; i++) n->steps[i] = n->steps[i + 1];
    n->steps[at] = moved;
  }
  int64_t times = 1;
  for (int32_t i = 0; i < n->count - 3 && times <= COPIES_MAX; i++) times *= n->steps[i].extent;
  return times;
}

typedef struct copy_list {
  pmn_copy *items;
  int64_t count;
} copy_list;

/* Adds the copies that run through the nest from these first elements on. */
static bool copies_append(
    pmn_graph *graph, const char *name, nest *n, int64_t in_first, int64_t out_first, copy_list *list) {
  int64_t times = nest_longest_last(n);
  if (times > COPIES_MAX - list->count) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "tensor %s has its elements in too scattered an order",
        name != NULL ? name : "between two nodes");
    return false;
  }
  pmn_copy *copies = pmn_realloc(list->items, (size_t)(list->count + times), sizeof *copies);
  if (copies == NULL) {
    pmn_graph_fail(graph, PMN_STATUS_NO_MEMORY, "no memory for %lld copies", (long long)times);
    return false;
  }
  list->items = copies;
  copies += list->count;
  list->count += times;
  int32_t outer = n->count > 3 ? n->count - 3 : 0;
  for (int64_t t = 0; t < times; t++) {
    int64_t in = in_first, out = out_first, rest = t;
    for (int32_t i = outer - 1; i >= 0; i--) {
      in += rest % n->steps[i].extent * n->steps[i].in;
      out += rest % n->steps[i].extent * n->steps[i].out;
      rest /= n->steps[i].extent;
    }
    copies[t] = (pmn_copy){.extent = {1, 1, 1}, .in_first = (int32_t)in, .out_first = (int32_t)out};
    for (int32_t i = outer; i < n->count; i++) {
      int32_t d = 3 - n->count + i;
      copies[t].extent[d] = (int32_t)n->steps[i].extent;
      copies[t].in_stride[d] = (int32_t)n->steps[i].in;
      copies[t].out_stride[d] = (int32_t)n->steps[i].out;
    }
  }
  return true;
}

/* *node becomes the tensor that the copies make of it, if `good`. Takes the list. */
static bool copies_apply(
    pmn_graph *graph, const char *name, bool good, copy_list *list, const pmn_onnx_layout *layout, pmn_node *node) {
  pmn_tensor shape = {.h = layout->h, .w = layout->w, .c = layout->c};
  if (good) *node = pmn_graph_copy(graph, name, *node, shape, list->items, (int32_t)list->count);
  pmn_free(list->items);
  return good && !pmn_graph_failed(graph);
}

bool pmn_onnx_view_arrange(pmn_onnx_view *view, pmn_graph *graph, const char *name, const pmn_onnx_layout *target) {
  if (pmn_onnx_layout_equal(&view->layout, target)) return true;
  nest n;
  if (!nest_refine(&view->layout, target, &n)) { /* in order of memory every factor divides */
    pmn_onnx_layout row = layout_of_row(pmn_onnx_view_size(view));
    return pmn_onnx_view_arrange(view, graph, NULL, &row) && pmn_onnx_view_arrange(view, graph, name, target);
  }
  copy_list list = {0};
  bool good = copies_append(graph, name, &n, 0, 0, &list);
  if (!copies_apply(graph, name, good, &list, target, &view->node)) return false;
  view->layout = *target;
  return true;
}

bool pmn_onnx_view_channels(pmn_onnx_view *view, pmn_graph *graph, uint32_t mask) {
  int64_t channels = 1, pixels = 1, last = 1; /* last: the last dimension of the pixels */
  for (int32_t d = 0; d < view->rank; d++) {
    if ((mask >> d & 1) != 0) {
      channels *= view->dims[d];
    } else {
      last = view->dims[d];
      pixels *= last;
    }
  }
  pmn_onnx_cut cut;
  if (pmn_onnx_view_cut(view, &cut) && view->layout.c == channels) {
    pmn_onnx_layout found = pmn_onnx_layout_init(1, 1, (int32_t)channels);
    bool fits = true;
    for (int32_t d = 0; d < view->rank; d++) {
      if ((mask >> d & 1) == 0) continue;
      for (int32_t i = cut.first[d]; i < cut.first[d + 1]; i++)
        fits = fits && pmn_onnx_layout_append(&found, cut.factors[i].extent, cut.factors[i].stride);
    }
    pmn_onnx_layout wanted = pmn_onnx_layout_flat(1, 1, (int32_t)channels);
    if (fits && pmn_onnx_layout_equal(&found, &wanted)) return true;
  }
  pmn_onnx_layout target = pmn_onnx_layout_init((int32_t)(pixels / last), (int32_t)last, (int32_t)channels);
  int64_t channels_left = channels, pixels_left = pixels;
  for (int32_t d = 0; d < view->rank; d++) { /* of at most rank factors: there is room */
    bool channel = (mask >> d & 1) != 0;
    int64_t *left = channel ? &channels_left : &pixels_left;
    *left /= view->dims[d];
    pmn_onnx_layout_append(&target, view->dims[d], channel ? *left : *left * channels);
  }
  return pmn_onnx_view_arrange(view, graph, NULL, &target);
}

bool pmn_onnx_view_transpose(pmn_onnx_view *view, pmn_graph *graph, const int32_t *perm) {
  for (int attempt = 0;; attempt++) {
    pmn_onnx_cut cut;
    if (!pmn_onnx_view_settle(view, graph, &cut)) return false;
    pmn_onnx_view turned = *view;
    turned.layout.count = 0;
    bool room = true;
    for (int32_t d = 0; d < view->rank; d++) {
      turned.dims[d] = view->dims[perm[d]];
      for (int32_t i = cut.first[perm[d]]; i < cut.first[perm[d] + 1]; i++)
        room = room && pmn_onnx_layout_append(&turned.layout, cut.factors[i].extent, cut.factors[i].stride);
    }
    if (room) {
      *view = turned;
      return true;
    }
    pmn_onnx_layout row = layout_of_row(pmn_onnx_view_size(view)); /* whose cut has one factor a dimension: room */
    if (attempt == 1 || !pmn_onnx_view_arrange(view, graph, NULL, &row)) return false;
  }
}

/* The layout of a slice that is to be made of `view`, and its steps from one index of each dimension to the next. */
static pmn_onnx_layout slice_layout(
    const pmn_onnx_view *view, const int64_t *counts, int64_t strides[PMN_ONNX_RANK_MAX]) {
  const int64_t *dims = view->dims;
  int64_t size = 1;
  for (int32_t d = view->rank - 1; d >= 0; d--) {
    strides[d] = size;
    size *= counts[d];
  }
  if (view->rank != 4 || dims[0] != 1 || counts[0] != 1) {
    int64_t last = view->rank > 0 ? counts[view->rank - 1] : 1;
    return pmn_onnx_layout_flat(1, (int32_t)(size / last), (int32_t)last);
  }
  int32_t n[4] = {1, (int32_t)counts[1], (int32_t)counts[2], (int32_t)counts[3]};
  pmn_onnx_layout image = pmn_onnx_layout_image((int32_t)dims[2], (int32_t)dims[3], (int32_t)dims[1]);
  if (!pmn_onnx_layout_equal(&view->layout, &image)) return pmn_onnx_layout_flat(n[1], n[2], n[3]);
  strides[1] = 1;
  strides[2] = counts[3] * counts[1];
  strides[3] = counts[1];
  return pmn_onnx_layout_image(n[2], n[3], n[1]);
}

/* The cut of a view whose dimensions of `mask` have one factor each: others are moved into a row first. */
static bool cut_simply(pmn_onnx_view *view, pmn_graph *graph, uint32_t mask, pmn_onnx_cut *cut) {
  bool simple = pmn_onnx_view_cut(view, cut);
  for (int32_t d = 0; simple && d < view->rank; d++)
    simple = (mask >> d & 1) == 0 || cut->first[d + 1] - cut->first[d] <= 1;
  if (simple) return true;
  pmn_onnx_layout row = layout_of_row(pmn_onnx_view_size(view));
  return pmn_onnx_view_arrange(view, graph, NULL, &row) && pmn_onnx_view_cut(view, cut);
}

bool pmn_onnx_view_slice(pmn_onnx_view *view, pmn_graph *graph, const char *name, const int64_t *starts,
    const int64_t *counts, const int64_t *steps) {
  pmn_onnx_cut cut;
  uint32_t sliced = 0;
  for (int32_t d = 0; d < view->rank; d++)
    if (counts[d] != view->dims[d] || steps[d] < 0) sliced |= 1u << d;
  if (!cut_simply(view, graph, sliced, &cut)) return false;
  int64_t strides[PMN_ONNX_RANK_MAX], in_first = 0;
  pmn_onnx_layout layout = slice_layout(view, counts, strides);
  nest n = {.count = 0};
  for (int32_t d = 0; d < view->rank; d++) {
    int64_t inner = view->dims[d];
    bool part = (sliced >> d & 1) != 0;
    for (int32_t i = cut.first[d]; i < cut.first[d + 1]; i++) {
      pmn_onnx_factor f = cut.factors[i];
      inner /= f.extent;
      if (part) in_first += starts[d] * f.stride;
      nest_append(&n, part ? counts[d] : f.extent, part ? f.stride * steps[d] : f.stride, strides[d] * inner);
    }
  }
  copy_list list = {0};
  bool good = copies_append(graph, name, &n, in_first, 0, &list);
  if (!copies_apply(graph, name, good, &list, &layout, &view->node)) return false;
  view->layout = layout;
  for (int32_t d = 0; d < view->rank; d++) view->dims[d] = counts[d];
  return true;
}

bool pmn_onnx_view_pick(
    pmn_onnx_view *view, pmn_graph *graph, const char *name, int32_t axis, const int64_t *indices, int64_t count) {
  pmn_onnx_cut cut;
  int64_t counts[PMN_ONNX_RANK_MAX], strides[PMN_ONNX_RANK_MAX], others = pmn_onnx_view_size(view) / view->dims[axis];
  if (count > INT32_MAX / others) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "%lld x %lld elements: 2^31 or more", (long long)count, (long long)others);
    return false;
  }
  if (!cut_simply(view, graph, 1u << axis, &cut)) return false;
  for (int32_t d = 0; d < view->rank; d++) counts[d] = d == axis ? count : view->dims[d];
  pmn_onnx_layout layout = slice_layout(view, counts, strides);
  int64_t along = cut.first[axis + 1] > cut.first[axis] ? cut.factors[cut.first[axis]].stride : 0;
  copy_list list = {0};
  bool good = true;
  for (int64_t at = 0, run; good && at < count; at += run) { /* runs of evenly spaced indices */
    int64_t by = at + 1 < count ? indices[at + 1] - indices[at] : 0;
    for (run = 1; at + run < count && indices[at + run] - indices[at + run - 1] == by; run++) continue;
    nest n = {.count = 0};
    for (int32_t d = 0; d < view->rank; d++) {
      int64_t inner = view->dims[d];
      if (d == axis) nest_append(&n, run, along * by, strides[d]);
      for (int32_t i = cut.first[d]; d != axis && i < cut.first[d + 1]; i++) {
        inner /= cut.factors[i].extent;
        nest_append(&n, cut.factors[i].extent, cut.factors[i].stride, strides[d] * inner);
      }
    }
    good = copies_append(graph, name, &n, indices[at] * along, at * strides[axis], &list);
  }
  if (!copies_apply(graph, name, good, &list, &layout, &view->node)) return false;
  view->layout = layout;
  view->dims[axis] = count;
  return true;
}

bool pmn_onnx_view_expand(pmn_onnx_view *view, pmn_graph *graph, const int64_t *dims) {
  for (int32_t d = 0; d < view->rank; d++) {
    if (view->dims[d] == dims[d]) continue;
    int64_t *zeros = pmn_calloc((size_t)dims[d], sizeof *zeros);
    if (zeros == NULL) {
      pmn_graph_fail(graph, PMN_STATUS_NO_MEMORY, "no memory for %lld indices", (long long)dims[d]);
      return false;
    }
    bool good = pmn_onnx_view_pick(view, graph, NULL, d, zeros, dims[d]);
    pmn_free(zeros);
    if (!good) return false;
  }
  return true;
}
