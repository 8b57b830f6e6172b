/* pmn_ocl_orb.h - the planes of ORB on a device. Private to host/compute/ocl. */
#ifndef PMN_OCL_ORB_H
#define PMN_OCL_ORB_H

#include "pmn_ocl_describe.h"
#include "pmn_orb_rules.h"

/* Every level of a picture that may have keypoints is a plane: struct pmn_orb_plane of orb.clh. */
typedef struct pmn_ocl_orb_plane {
  cl_uint at; /* of its first pixel, in the buffer of planes */
  cl_int width, height;
  cl_int from;    /* the plane of the level before */
  cl_uint places; /* in plan.places: width columns, then height rows */
  cl_int most;
} pmn_ocl_orb_plane;

/* Launches over pixels, by how far from the borders these are, and how many work-items a group has. */
typedef enum pmn_ocl_orb_frame {
  PMN_OCL_ORB_SHRUNK,
  PMN_OCL_ORB_SCORED,
  PMN_OCL_ORB_CORNERS,
  PMN_OCL_ORB_BLURRED,
  PMN_OCL_ORB_FRAMES
} pmn_ocl_orb_frame;
extern const int32_t pmn_ocl_orb_margins[PMN_OCL_ORB_FRAMES];
#define PMN_OCL_ORB_GROUP 64

/* The planes of a slice: level by level, in a level picture by picture. Those of level 0 are the pictures as they lie
 * in the slice's buffer; the others follow. */
typedef struct pmn_ocl_orb_plan {
  size_t pixels;                      /* of all planes */
  int32_t count;                      /* of planes */
  int32_t levels[PMN_ORB_LEVELS + 1]; /* the first plane of each; then count */
  pmn_buf planes;                     /* pmn_ocl_orb_plane [count] */
  pmn_buf indices;                    /* int32_t [pictures][PMN_ORB_LEVELS]: of a picture's planes, or -1 */
  pmn_buf places;                     /* cl_ushort [][2], see orb_shrink.cl */
  pmn_buf groups[PMN_OCL_ORB_FRAMES]; /* cl_uint [count + 1]: the first work-group of each plane, and how many in all */
} pmn_ocl_orb_plan;

void pmn_ocl_orb_plan_init(pmn_ocl_orb_plan *plan);
/* Of another slice; memory stays. wanted: the shares of the levels. Offsets fit 32 bits: one picture has less than 2^30
 * pixels and all its levels less than 2^32, slices of several are smaller. */
PMN_MUST_USE pmn_status pmn_ocl_orb_plan_make(
    pmn_ocl_orb_plan *plan, const pmn_ocl_slice *slice, const int32_t wanted[PMN_ORB_LEVELS], pmn_err *err);
void pmn_ocl_orb_plan_reset(pmn_ocl_orb_plan *plan);

static inline const pmn_ocl_orb_plane *pmn_ocl_orb_planes(const pmn_ocl_orb_plan *plan) {
  return (const pmn_ocl_orb_plane *)(const void *)plan->planes.data;
}
/* The planes of a picture, level by level. */
static inline const int32_t *pmn_ocl_orb_indices(const pmn_ocl_orb_plan *plan, int32_t picture) {
  return (const int32_t *)(const void *)plan->indices.data + (size_t)picture * PMN_ORB_LEVELS;
}
static inline const cl_uint *pmn_ocl_orb_groups(const pmn_ocl_orb_plan *plan, pmn_ocl_orb_frame frame) {
  return (const cl_uint *)(const void *)plan->groups[frame].data;
}

#endif
