/* pmn_onnx_lowering.h - the walk from ONNX nodes to layers, as the operators see it; inside pmn_onnx_graph*.c only.
 *
 * Nodes are visited once, in order. An operator checks what needs no shape, asks for its inputs, and either sets its
 * outputs or refuses: a refused node is listed with its reason, its outputs stay unknown, and a node whose first input
 * is unknown ends without a word where it asks for it. A layer that the graph refuses is its node's refusal, too; only
 * memory ends the walk.
 */
#ifndef PMN_ONNX_LOWERING_H
#define PMN_ONNX_LOWERING_H

#include "pmn_onnx_view.h"

/* What is known of a value of the file. */
typedef enum pmn_onnx_kind {
  PMN_ONNX_UNKNOWN, /* not computed yet, or by a node that was refused */
  PMN_ONNX_CONSTANT,
  PMN_ONNX_COMPUTED, /* from the picture: a view */
  /* Steps on the way to layers that ONNX writes as several nodes; only the next step can read them. */
  PMN_ONNX_ERF,       /* erf(inner * view / sqrt(2)) */
  PMN_ONNX_GATE,      /* gate * (1 + erf(inner * view / sqrt(2))): half of a GELU */
  PMN_ONNX_DEVIATION, /* sqrt(variance of view along `mask` + gate), for what `centred` is the name of */
  PMN_ONNX_PADDED,    /* the image `view` with `pads` (top, left, bottom, right) of -infinity, for a MaxPool */
} pmn_onnx_kind;

typedef struct pmn_onnx_item {
  pmn_onnx_kind kind;
  const pmn_onnx_value *constant;
  pmn_onnx_view view;
  /* view.node is base * scale, base having the same layout: so products with numbers are one product. */
  pmn_node base;
  double scale;
  double gate, inner;
  int32_t pads[4];
  uint32_t mask;
  pmn_onnx_id centred; /* the view less its mean */
  pmn_node published;  /* the node that carries the value's name, in an order that people expect */
  int32_t writer;      /* index of the node that writes the value; -1 for none */
  bool read;           /* by a node, or an output of the file */
  bool of_shapes;      /* unknown, but it would be a constant */
} pmn_onnx_item;

struct pmn_onnx_lowering {
  const pmn_onnx_graph *file;
  pmn_graph *graph;
  const pmn_onnx_node *node; /* that is being lowered */
  pmn_onnx_item *items;      /* [file->value_count]; NULL after the walk */
  pmn_onnx_value *computed;  /* constants that nodes computed; NULL after the walk */
  int32_t computed_count;
  pmn_onnx_budget budget; /* for these, and for parameters of layers */
  pmn_buf *unsupported;
  bool refused; /* the current node was */
  int32_t refused_count;
  char first_refused[256];
  /* What stays after the walk. */
  pmn_node features;
  uint8_t *orders; /* [order_count], of nodes: pmn_onnx_order */
  int32_t order_count;
};

/* An operator of ONNX's own domain, and the opsets in which `lower` knows its meaning. */
typedef struct pmn_onnx_operator {
  const char *name;
  int32_t since, until;
  void (*lower)(pmn_onnx_lowering *self);
} pmn_onnx_operator;

/* By theme, a file each; a NULL name ends them. */
extern const pmn_onnx_operator pmn_onnx_operators_window[];
extern const pmn_onnx_operator pmn_onnx_operators_channel[];
extern const pmn_onnx_operator pmn_onnx_operators_pointwise[];
extern const pmn_onnx_operator pmn_onnx_operators_arithmetic[];
extern const pmn_onnx_operator pmn_onnx_operators_shape[];
extern const pmn_onnx_operator pmn_onnx_operators_move[];
extern const pmn_onnx_operator pmn_onnx_operators_resize[];

/* Lists the current node with the reason. Always false, so that callers can return it. */
bool pmn_onnx_refuse(pmn_onnx_lowering *self, const char *format, ...) PMN_PRINTF(2, 3);
/* Memory that could not be had: the graph's error. */
void pmn_onnx_refuse_memory(pmn_onnx_lowering *self, size_t count);
/* Takes the memory of parameters of a layer from the budget, or refuses. */
bool pmn_onnx_charge(pmn_onnx_lowering *self, size_t count, size_t size);

/* Whether the node carries a name of an image [1, c, h, w]. */
bool pmn_onnx_node_is_image(const pmn_onnx_lowering *self, pmn_node node);

/* Inputs by index. has: the node has it. item: NULL if it has not. view: refuses what is not computed, but of an
 * unknown value only says false. constant: NULL if it is left out or not constant. */
bool pmn_onnx_input_has(const pmn_onnx_lowering *self, int32_t index);
pmn_onnx_item *pmn_onnx_input_item(pmn_onnx_lowering *self, int32_t index);
bool pmn_onnx_input_view(pmn_onnx_lowering *self, int32_t index, pmn_onnx_view *view);
const pmn_onnx_value *pmn_onnx_input_constant(pmn_onnx_lowering *self, int32_t index);
/* The input as [h, w, c] with dimensions [1, c, h, w]. */
bool pmn_onnx_input_image(pmn_onnx_lowering *self, int32_t index, pmn_onnx_view *view);
/* Refuses unless the input is constant or left out. */
bool pmn_onnx_input_known(pmn_onnx_lowering *self, int32_t index, const char *what);
/* The name for the node that will be output 0, whose view looks like this (NULL: a picture or a row); NULL if people
 * would not know it again, so that a node of another order gets it. */
const char *pmn_onnx_output_name(const pmn_onnx_lowering *self, const pmn_onnx_view *like);
void pmn_onnx_output_view(pmn_onnx_lowering *self, int32_t index, const pmn_onnx_view *view);
/* Output 0 is a constant or an intermediate step. */
void pmn_onnx_output_item(pmn_onnx_lowering *self, const pmn_onnx_item *item);
/* Whether somebody reads the node's output `index`. */
bool pmn_onnx_output_read(pmn_onnx_lowering *self, int32_t index);

/* The node of this operator that writes a value; NULL if there is none. */
const pmn_onnx_node *pmn_onnx_writer(const pmn_onnx_lowering *self, pmn_onnx_id id, const char *op);

/* Element i of a constant of any type. */
double pmn_onnx_value_at(const pmn_onnx_value *value, size_t i);
/* A constant of a single element that is a real number. */
bool pmn_onnx_value_scalar(const pmn_onnx_value *value, double *number);
/* Refuses values of which one is not a number or infinite. */
bool pmn_onnx_finite(pmn_onnx_lowering *self, const pmn_onnx_value *value, const char *what);
/* A copy of a constant's elements as f32; NULL only when memory cannot be had. */
float *pmn_onnx_value_floats(const pmn_onnx_value *value);

/* A list of whole numbers: an attribute in old opsets, an input in new ones (index -1: never). *count is -1 if it is
 * not given. Refuses more than PMN_ONNX_RANK_MAX of them, and lists that are not constant. */
bool pmn_onnx_list(
    pmn_onnx_lowering *self, const char *attribute, int32_t index, int64_t list[PMN_ONNX_RANK_MAX], int32_t *count);
/* Puts a dimension that may be counted from the end into [0, rank). */
bool pmn_onnx_axis(pmn_onnx_lowering *self, int64_t axis, int32_t rank, int32_t *index);

/* view = view * scale + shift. scale and shift [product of extents]: of every dimension either one number or as many as
 * the view has there. Takes both arrays. `named`: the result is output 0. */
bool pmn_onnx_affine(
    pmn_onnx_lowering *self, const int64_t *extents, double *scale, double *shift, bool named, pmn_onnx_view *view);
/* Layer normalisation of the view along the dimensions of `mask`, as output 0; no gain: 1, no bias: 0. */
void pmn_onnx_normalise(pmn_onnx_lowering *self, uint32_t mask, float epsilon, const pmn_onnx_value *gain,
    const pmn_onnx_value *bias, pmn_onnx_view *view);
/* The extents for that of a constant; the view grows to the shape that both have together. Refuses if there is none. */
bool pmn_onnx_extents(pmn_onnx_lowering *self, const pmn_onnx_value *value, pmn_onnx_view *view, int64_t *extents);
/* A node times a number, laid out as `like`. */
pmn_node pmn_onnx_scaled(
    pmn_onnx_lowering *self, const char *name, const pmn_onnx_view *like, pmn_node node, double factor);
/* The product of the item's value with a number, as output 0. */
void pmn_onnx_output_scaled(pmn_onnx_lowering *self, const pmn_onnx_item *item, double factor);
/* Leading dimensions of 1 until there are `rank`. */
void pmn_onnx_view_widen(pmn_onnx_view *view, int32_t rank);
/* For [1, a, b, c] of which the last three are not touched but `mask`: puts it as [h, w, c] so that mask's dimensions
 * are among the pixels; *h_dim, *w_dim say which dimensions are those. */
bool pmn_onnx_spatial(pmn_onnx_lowering *self, uint32_t mask, pmn_onnx_view *view, int32_t *h_dim, int32_t *w_dim);

#endif
