/* pmn_ocl_orb_plan.c - see pmn_ocl_orb.h: where the planes of a slice lie, and which work-groups have their pixels.
 *
 * Workload: 64 pictures of 100x100, three levels each; or a photograph with all eight. Tables take little beside the
 * pixels: those of where smaller pixels come from are made by the host's double arithmetic, which a device may not
 * have, and shared by neighbours of one size.
 */
#include "pmn_ocl_orb.h"

#include <string.h>

const int32_t pmn_ocl_orb_margins[PMN_OCL_ORB_FRAMES] = {
    [PMN_OCL_ORB_SHRUNK] = PMN_ORB_MARGIN,
    [PMN_OCL_ORB_SCORED] = PMN_ORB_EDGE - 1,
    [PMN_OCL_ORB_CORNERS] = PMN_ORB_EDGE,
    [PMN_OCL_ORB_BLURRED] = PMN_ORB_EDGE - PMN_ORB_REACH,
};

void pmn_ocl_orb_plan_init(pmn_ocl_orb_plan *plan) {
  pmn_buf_init(&plan->planes, SIZE_MAX);
  pmn_buf_init(&plan->indices, SIZE_MAX);
  pmn_buf_init(&plan->places, SIZE_MAX);
  for (int f = 0; f < PMN_OCL_ORB_FRAMES; f++) pmn_buf_init(&plan->groups[f], SIZE_MAX);
}

void pmn_ocl_orb_plan_reset(pmn_ocl_orb_plan *plan) {
  pmn_buf_reset(&plan->planes);
  pmn_buf_reset(&plan->indices);
  pmn_buf_reset(&plan->places);
  for (int f = 0; f < PMN_OCL_ORB_FRAMES; f++) pmn_buf_reset(&plan->groups[f]);
}

static pmn_status places_add(pmn_buf *places, int32_t count, int32_t from, int32_t to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < count; i++) {
    uint16_t part, whole = pmn_orb_shrink_place(i, from, to, &part);
    cl_ushort place[2] = {whole, part};
    PMN_TRY(pmn_buf_append(places, place, sizeof place, err));
  }
done:
  return st;
}

/* Where the pixels of `plane` are in the plane before; as of the last one in the table, if that has the same sizes. */
static pmn_status places_find(pmn_ocl_orb_plan *plan, pmn_ocl_orb_plane *plane, bool first, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_ocl_orb_plane *planes = pmn_ocl_orb_planes(plan), *from = &planes[plane->from];
  const pmn_ocl_orb_plane *last = first ? NULL : &planes[plan->count - 1];
  if (last != NULL && last->width == plane->width && last->height == plane->height &&
      planes[last->from].width == from->width && planes[last->from].height == from->height) {
    plane->places = last->places;
    return PMN_STATUS_OK;
  }
  plane->places = (cl_uint)(plan->places.size / sizeof(cl_ushort[2]));
  PMN_TRY(places_add(&plan->places, plane->width, from->width, plane->width, err));
  PMN_TRY(places_add(&plan->places, plane->height, from->height, plane->height, err));
done:
  return st;
}

static pmn_status plane_add(pmn_ocl_orb_plan *plan, const pmn_ocl_slice *slice, int32_t picture,
    const pmn_orb_level *level, int32_t wanted, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t *index = (int32_t *)(void *)plan->indices.data + picture * PMN_ORB_LEVELS + level->octave;
  pmn_ocl_orb_plane plane = {.width = level->width, .height = level->height};
  plane.most = wanted > INT32_MAX / 2 ? INT32_MAX : 2 * wanted;
  plane.at = (cl_uint)(level->octave == 0 ? slice->planes[picture].offset : plan->pixels);
  if (level->octave > 0) {
    plane.from = index[-1];
    PMN_TRY(places_find(plan, &plane, plan->count == plan->levels[level->octave], err));
    plan->pixels += (size_t)level->width * (size_t)level->height;
  }
  PMN_TRY(pmn_buf_append(&plan->planes, &plane, sizeof plane, err));
  *index = plan->count++;
done:
  return st;
}

/* Planes of which no keypoints are wanted are only there to be made smaller. */
static pmn_status groups_count(pmn_ocl_orb_plan *plan, pmn_ocl_orb_frame frame, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_ocl_orb_plane *planes = pmn_ocl_orb_planes(plan);
  cl_uint groups = 0;
  pmn_buf_clear(&plan->groups[frame]);
  PMN_TRY(pmn_buf_append(&plan->groups[frame], &groups, sizeof groups, err));
  for (int32_t p = 0; p < plan->count; p++) {
    cl_uint width = (cl_uint)(planes[p].width - 2 * pmn_ocl_orb_margins[frame]);
    cl_uint height = (cl_uint)(planes[p].height - 2 * pmn_ocl_orb_margins[frame]);
    bool launched = planes[p].most > 0 || frame == PMN_OCL_ORB_SHRUNK;
    if (launched) groups += (width * height + PMN_OCL_ORB_GROUP - 1) / PMN_OCL_ORB_GROUP;
    PMN_TRY(pmn_buf_append(&plan->groups[frame], &groups, sizeof groups, err));
  }
done:
  return st;
}

pmn_status pmn_ocl_orb_plan_make(
    pmn_ocl_orb_plan *plan, const pmn_ocl_slice *slice, const int32_t wanted[PMN_ORB_LEVELS], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_ocl_plane *last = &slice->planes[slice->count - 1];
  size_t index_bytes = (size_t)slice->count * PMN_ORB_LEVELS * sizeof(int32_t);
  plan->count = 0;
  plan->pixels = (size_t)last->offset + (size_t)last->width * (size_t)last->height;
  pmn_buf_clear(&plan->planes);
  pmn_buf_clear(&plan->places);
  PMN_TRY(pmn_buf_reserve(&plan->indices, index_bytes, err));
  memset(plan->indices.data, -1, index_bytes);
  for (int32_t octave = 0; octave < PMN_ORB_LEVELS; octave++) {
    plan->levels[octave] = plan->count;
    for (int32_t i = 0; i < slice->count; i++) {
      pmn_orb_level level = pmn_orb_level_of(slice->planes[i].width, slice->planes[i].height, octave);
      if (pmn_orb_has_room(&level)) PMN_TRY(plane_add(plan, slice, i, &level, wanted[octave], err));
    }
  }
  plan->levels[PMN_ORB_LEVELS] = plan->count;
  for (int f = 0; f < PMN_OCL_ORB_FRAMES; f++) PMN_TRY(groups_count(plan, (pmn_ocl_orb_frame)f, err));
done:
  return st;
}
