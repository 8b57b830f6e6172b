/* pmn_sift.h - the steps of SIFT; inside vision, and the constants and blurs for the device
 * (compute/ocl). Section numbers are of Lowe 2004.
 *
 *   scale space    3      pmn_sift_scale.c    blurred pictures, their differences
 *   points         3-5    pmn_sift_points.c   extremes, their exact places, directions
 *   descriptors    6      pmn_sift_points.c
 *   order, memory         pmn_sift.c
 */
#ifndef PMN_SIFT_H
#define PMN_SIFT_H

#include "pmn_describer_kind.h"
#include "pmn_sift_loops.h"

enum {
  PMN_SIFT_LAYERS = 3, /* of an octave, in which extremes are looked for; the scale doubles after as many */
  PMN_SIFT_BLURS = PMN_SIFT_LAYERS + 2,
  PMN_SIFT_DIFFERENCES = PMN_SIFT_LAYERS + 2,
  PMN_SIFT_BORDER = 5,   /* pixels of an octave, in which no extreme is looked for */
  PMN_SIFT_OCTAVES = 13, /* of 2 (2^15 - 1) pixels */
  PMN_SIFT_BYTES = PMN_SIFT_CELLS * PMN_SIFT_CELLS * PMN_SIFT_TURNS
};

#define PMN_SIFT_SIGMA 1.6 /* of layer 0 of an octave */

/* Layer i of octave o is the picture at 2^(1 - o) of its size, blurred by SIGMA 2^(i / LAYERS) pixels of the octave;
 * layers 1 to LAYERS of all octaves stay until the next picture. */
typedef struct pmn_sift_space {
  const pmn_sift_loops *loops;
  pmn_sift_blur first, blurs[PMN_SIFT_BLURS]; /* to layer 0 of the doubled picture; from layer i to layer i + 1 */
  float *memory;                              /* all planes; grows */
  size_t memory_size;                         /* in floats */
  float *line;                                /* two rows and what the loops need around one */
  int32_t octaves;
  pmn_sift_plane kept[PMN_SIFT_OCTAVES][PMN_SIFT_LAYERS + 1]; /* [o][1 .. LAYERS] */
  pmn_sift_plane even, odd;                                   /* of this octave: layers 0 and 5; layer 4 */
  pmn_sift_plane differences[PMN_SIFT_DIFFERENCES];           /* of this octave: layer i + 1 less layer i */
} pmn_sift_space;

/* A keypoint, and what its descriptor needs: the place in its octave, the scale in pixels of the octave, the direction
 * in turns, [0, 1), with y up. */
typedef struct pmn_sift_point {
  pmn_keypoint keypoint;
  int32_t layer, y, x;
  float scale, turn;
} pmn_sift_point;

typedef struct pmn_sift_points {
  pmn_sift_point *at; /* [capacity] */
  int32_t count, capacity;
} pmn_sift_points;

void pmn_sift_space_init(pmn_sift_space *space, const pmn_sift_loops *loops);
void pmn_sift_space_reset(pmn_sift_space *space);
/* Bytes of the planes of a picture, before it is doubled. */
double pmn_sift_space_memory(int32_t width, int32_t height);
/* Lays the planes out, doubles the picture and blurs it to layer 0 of octave 0. */
PMN_MUST_USE pmn_status pmn_sift_space_begin(
    pmn_sift_space *space, const uint8_t *gray, int32_t width, int32_t height, pmn_err *err);
/* The layers and differences of the next octave: 0, 1, ... */
void pmn_sift_space_octave(pmn_sift_space *space, int32_t octave);

/* Appends the keypoints of this octave. */
PMN_MUST_USE pmn_status pmn_sift_points_find(
    const pmn_sift_space *space, int32_t octave, pmn_sift_points *points, pmn_err *err);
void pmn_sift_point_describe(
    const pmn_sift_space *space, const pmn_sift_point *point, uint8_t descriptor[PMN_SIFT_BYTES]);

#endif
