/* The picture: a deformed ellipsoid under one lamp, solved per pixel without tracing a ray.
 *
 *   picture (X right, Y up)  --frame-->  (a, b): across and along the fruit's axis, in half-widths of the body
 *   v = b / half-length seen,  u = (a - bend v^2) / width(v):  the fruit is u^2 + v^2 < 1
 *   (u, v, sqrt(1 - u^2 - v^2)) is a point of the unit sphere; the pitch turns it to the body, the spin to the skin
 *
 * An ellipsoid leaning by `pitch` to the viewer is seen as that sphere leaning by an effective pitch, exactly; width,
 * bend and lobes are then laid on top as small lies that the eye accepts. Markings are functions of the point of the
 * skin, so they turn with the fruit. Per pixel: three square roots, at most two noise look-ups, one hash.
 *
 * The bytes must not depend on compiler or CPU: only + - * / and sqrt (exact in IEEE 754), nothing else of libm. */
#include "orchard_render.h"

#include <math.h>

#include "orchard_random.h"

typedef struct vec3 {
  float x, y, z;
} vec3;

/* Where the fruit stands and how the light falls, for one view. */
typedef struct pose {
  float spin_cos, spin_sin;   /* turntable */
  float lean_cos, lean_sin;   /* true pitch, for the light */
  float pitch_cos, pitch_sin; /* effective pitch, on the unit sphere */
  float roll_cos, roll_sin;
  float half_length;    /* of the body as seen, in half-widths */
  float bend;           /* as seen */
  float side_width[2];  /* left and right half-width: lobes and flatness as seen */
  float stem_a, stem_b; /* foot of the stem */
  float stem_length, stem_slope, stem_curve;
  float scale;     /* pixels per half-width */
  float x0, y0;    /* middle of the object, in half-widths, axes of the picture */
  vec3 lamp, half; /* in the body's axes: to the lamp, and halfway between lamp and viewer */
  float exposure;
  uint32_t grain; /* key of the sensor noise */
} pose;

/* A point of the fruit's surface. */
typedef struct surface {
  vec3 body;    /* unit sphere, before the spin */
  vec3 skin;    /* unit sphere, turning with the fruit */
  vec3 normal;  /* of the body */
  float facing; /* 1: looks at the viewer, 0: at the rim */
  float longitude_cos, longitude_sin;
} surface;

static const orchard_colour white = {255.0f, 255.0f, 255.0f};
static const orchard_colour leaf = {96.0f, 138.0f, 58.0f};
static const orchard_colour wood = {112.0f, 78.0f, 48.0f};

static float clamp01(float x) {
  return x < 0.0f ? 0.0f : (x > 1.0f ? 1.0f : x);
}

static float dot(vec3 a, vec3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

static vec3 normalized(vec3 a) {
  const float s = 1.0f / sqrtf(dot(a, a));
  return (vec3){a.x * s, a.y * s, a.z * s};
}

static orchard_colour mix(orchard_colour a, orchard_colour b, float part) {
  return (orchard_colour){a.r + (b.r - a.r) * part, a.g + (b.g - a.g) * part, a.b + (b.b - a.b) * part};
}

static orchard_colour lit(orchard_colour a, float light) {
  return (orchard_colour){a.r * light, a.g * light, a.b * light};
}

/* Sine of an angle in turns, |turns| < 2^20: Taylor to the 9th power on a quarter turn, error below 4e-6. */
static float sine(float turns) {
  float t = turns - (float)(int32_t)turns; /* (-1, 1) */
  t -= t > 0.5f ? 1.0f : (t < -0.5f ? -1.0f : 0.0f);
  t = t > 0.25f ? 0.5f - t : (t < -0.25f ? -0.5f - t : t);
  const float x = t * 6.28318531f;
  const float q = x * x;
  return x * (1.0f - q / 6.0f * (1.0f - q / 20.0f * (1.0f - q / 42.0f * (1.0f - q / 72.0f))));
}

static float cosine(float turns) {
  return sine(turns + 0.25f);
}

/* (c + i s)^n by squaring: cosine and sine of n times an angle known by its cosine and sine. */
static float harmonic(float c, float s, uint32_t n, float *sine_out) {
  float re = 1.0f, im = 0.0f;
  for (; n > 0; n >>= 1) {
    if (n & 1u) {
      const float r = re * c - im * s;
      im = re * s + im * c;
      re = r;
    }
    const float r = c * c - s * s;
    s = 2.0f * c * s;
    c = r;
  }
  *sine_out = im;
  return re;
}

/* Cell of a coordinate and the place in it. The offset (a multiple of the lattice) makes the cast a floor. */
static uint32_t cell_of(float x, float *place) {
  const float shifted = x + 4096.0f;
  const uint32_t cell = (uint32_t)shifted;
  *place = shifted - (float)cell;
  return cell;
}

/* Value noise in [-1, 1): the kind's lattice, interpolated. */
static float noise(const orchard_kind *kind, vec3 p, float frequency) {
  float x, y, z;
  const uint32_t m = ORCHARD_LATTICE - 1;
  const uint32_t x0 = cell_of(p.x * frequency, &x), y0 = cell_of(p.y * frequency, &y),
                 z0 = cell_of(p.z * frequency, &z);
  const float *near = &kind->lattice[(z0 & m) * ORCHARD_LATTICE * ORCHARD_LATTICE];
  const float *far = &kind->lattice[((z0 + 1) & m) * ORCHARD_LATTICE * ORCHARD_LATTICE];
  const uint32_t left = x0 & m, right = (x0 + 1) & m;
  const uint32_t low = (y0 & m) * ORCHARD_LATTICE, high = ((y0 + 1) & m) * ORCHARD_LATTICE;
  const float sx = x * x * (3.0f - 2.0f * x), sy = y * y * (3.0f - 2.0f * y), sz = z * z * (3.0f - 2.0f * z);
  const float nl = near[low + left] + (near[low + right] - near[low + left]) * sx;
  const float nh = near[high + left] + (near[high + right] - near[high + left]) * sx;
  const float fl = far[low + left] + (far[low + right] - far[low + left]) * sx;
  const float fh = far[high + left] + (far[high + right] - far[high + left]) * sx;
  const float n = nl + (nh - nl) * sy;
  const float f = fl + (fh - fl) * sy;
  return n + (f - n) * sz;
}

static uint32_t hash(uint32_t x) {
  x = (x ^ (x >> 16)) * UINT32_C(0x7FEB352D);
  x = (x ^ (x >> 15)) * UINT32_C(0x846CA68B);
  return x ^ (x >> 16);
}

/* One spot to a cell, shifted inside it so that neighbours need not be asked. Returns 1 in the middle of the spot, 0
 * outside it; *offset is the way from the middle, in cells. */
static float spot(vec3 p, float frequency, float size, uint32_t key, vec3 *offset) {
  vec3 place;
  const uint32_t x = cell_of(p.x * frequency, &place.x), y = cell_of(p.y * frequency, &place.y),
                 z = cell_of(p.z * frequency, &place.z);
  const uint32_t h = hash(key ^ (x * UINT32_C(0x9E3779B1)) ^ (y * UINT32_C(0x85EBCA77)) ^ (z * UINT32_C(0xC2B2AE3D)));
  const float room = (1.0f - 2.0f * size) * (1.0f / 1024.0f);
  offset->x = place.x - size - room * (float)(h & 1023u);
  offset->y = place.y - size - room * (float)((h >> 10) & 1023u);
  offset->z = place.z - size - room * (float)((h >> 20) & 1023u);
  return clamp01(1.5f - 1.5f * dot(*offset, *offset) / (size * size));
}

static float width_at(const orchard_form *form, float v) {
  const float q = v * v;
  const float width = 1.0f + form->taper * v + (form->waist + form->ends * q) * q;
  return width > 0.15f ? width : 0.15f;
}

static float width_slope(const orchard_form *form, float v) {
  return form->taper + (2.0f * form->waist + 4.0f * form->ends * v * v) * v;
}

/* Turns the fruit. The spin goes by the golden section of a turn, in 32-bit wrap-around: any number of views covers the
 * turn evenly, and a test view is half a turn from the training view of its number. */
static void pose_turn(pose *p, const orchard_form *form, uint32_t view, orchard_random *random) {
  const float spin = (float)((view * UINT32_C(2654435769)) >> 8) * (1.0f / 16777216.0f);
  const float lean = form->pitch + orchard_random_between(random, -0.03f, 0.03f);
  const float roll = form->roll + orchard_random_between(random, -0.03f, 0.03f);
  p->spin_cos = cosine(spin);
  p->spin_sin = sine(spin);
  p->lean_cos = cosine(lean);
  p->lean_sin = sine(lean);
  p->roll_cos = cosine(roll);
  p->roll_sin = sine(roll);

  const float across = p->lean_sin / form->length;
  const float norm = 1.0f / sqrtf(across * across + p->lean_cos * p->lean_cos);
  p->pitch_cos = p->lean_cos * norm;
  p->pitch_sin = across * norm;
  p->half_length = sqrtf(form->length * form->length * p->lean_cos * p->lean_cos + p->lean_sin * p->lean_sin);
  p->bend = form->bend * p->spin_cos;
  for (int side = 0; side < 2; side++) {
    const float c = side == 0 ? -p->spin_cos : p->spin_cos;
    const float s = side == 0 ? p->spin_sin : -p->spin_sin;
    float unused;
    p->side_width[side] =
        1.0f + form->lobe_depth * harmonic(c, s, form->lobes, &unused) + form->flatness * (2.0f * c * c - 1.0f);
  }
}

/* The lamp hangs on the upper left, before the fruit, and moves a little from view to view. */
static void pose_light(pose *p, orchard_random *random) {
  vec3 lamp = {-0.56f, 0.52f, 0.64f};
  lamp.x += orchard_random_between(random, -0.10f, 0.10f);
  lamp.y += orchard_random_between(random, -0.10f, 0.10f);
  lamp = normalized(lamp);
  p->exposure = orchard_random_between(random, 0.96f, 1.04f);

  vec3 ways[2] = {lamp, normalized((vec3){lamp.x, lamp.y, lamp.z + 1.0f})};
  for (int i = 0; i < 2; i++) {
    const float a = ways[i].x * p->roll_cos + ways[i].y * p->roll_sin;
    const float b = ways[i].y * p->roll_cos - ways[i].x * p->roll_sin;
    const float z = ways[i].z;
    ways[i] = (vec3){a, b * p->lean_cos + z * p->lean_sin, z * p->lean_cos - b * p->lean_sin};
  }
  p->lamp = ways[0];
  p->half = ways[1];
}

/* The stem grows from the pole, along the axis as it is seen there. */
static void pose_stem(pose *p, const orchard_form *form) {
  const float v = p->pitch_cos;
  const float seen = p->lean_cos > 0.35f ? p->lean_cos : 0.35f;
  const float sunk = 0.05f + 0.10f * form->dimple;
  p->stem_a = p->bend * v * v;
  p->stem_b = v * p->half_length - sunk;
  p->stem_length = form->stem_length > 0.0f ? form->stem_length * seen + sunk : 0.0f;
  p->stem_slope = 2.0f * p->bend * v / p->half_length;
  p->stem_curve = form->stem_curve * p->spin_cos;
}

typedef struct box {
  float left, right, bottom, top;
} box;

static void box_add(box *b, const pose *p, float along_a, float along_b) {
  const float x = along_a * p->roll_cos - along_b * p->roll_sin;
  const float y = along_a * p->roll_sin + along_b * p->roll_cos;
  b->left = x < b->left ? x : b->left;
  b->right = x > b->right ? x : b->right;
  b->bottom = y < b->bottom ? y : b->bottom;
  b->top = y > b->top ? y : b->top;
}

/* Fits fruit and stem into the picture, as the pictures of Fruits-360 are cropped, a little larger or smaller by view.
 */
static void pose_frame(pose *p, const orchard_form *form, int32_t size, orchard_random *random) {
  box b = {1e9f, -1e9f, 1e9f, -1e9f};
  for (int i = -24; i <= 24; i++) {
    const float v = (float)i / 24.0f;
    const float u = sqrtf(1.0f - v * v) * width_at(form, v);
    box_add(&b, p, p->bend * v * v - u * p->side_width[0], v * p->half_length);
    box_add(&b, p, p->bend * v * v + u * p->side_width[1], v * p->half_length);
  }
  const float tip_a = p->stem_a + p->stem_slope * p->stem_length + p->stem_curve;
  box_add(&b, p, tip_a - form->stem_width, p->stem_b + p->stem_length);
  box_add(&b, p, tip_a + form->stem_width, p->stem_b + p->stem_length);

  const float wide = b.right - b.left, high = b.top - b.bottom;
  const float fill = orchard_random_between(random, 0.90f, 0.97f);
  p->scale = fill * (float)size / (wide > high ? wide : high);
  p->x0 = 0.5f * (b.left + b.right);
  p->y0 = 0.5f * (b.bottom + b.top);
}

static pose pose_of(const orchard_kind *kind, uint32_t view, int32_t size) {
  pose p;
  orchard_random random = orchard_random_of(kind->seed, kind->index, view + 1u);
  pose_turn(&p, &kind->form, view, &random);
  pose_light(&p, &random);
  pose_stem(&p, &kind->form);
  pose_frame(&p, &kind->form, size, &random);
  p.grain = (uint32_t)orchard_random_next(&random);
  return p;
}

static surface surface_at(const orchard_form *form, const pose *p, float u, float v, float z) {
  surface s;
  s.facing = z;
  s.body = (vec3){u, v * p->pitch_cos + z * p->pitch_sin, z * p->pitch_cos - v * p->pitch_sin};
  s.skin = (vec3){
      s.body.x * p->spin_cos + s.body.z * p->spin_sin, s.body.y, s.body.z * p->spin_cos - s.body.x * p->spin_sin};
  s.normal = normalized((vec3){s.body.x, s.body.y / form->length, s.body.z});
  const float radius = s.skin.x * s.skin.x + s.skin.z * s.skin.z;
  const float inverse = 1.0f / sqrtf(radius + 1e-6f);
  s.longitude_cos = s.skin.x * inverse;
  s.longitude_sin = s.skin.z * inverse;
  return s;
}

/* Lobes and dimple bend the normal; returns how dark the groove or hollow is (1: not at all). */
static float carve(const orchard_form *form, surface *s) {
  float light = 1.0f;
  if (form->lobe_depth > 0.0f) {
    float slope;
    const float height = harmonic(s->longitude_cos, s->longitude_sin, form->lobes, &slope);
    const float tilt = form->lobe_depth * slope * (1.0f + 0.5f * (float)form->lobes);
    const float groove = 0.5f - 0.5f * height;
    s->normal.x -= tilt * s->body.z;
    s->normal.z += tilt * s->body.x;
    light -= 3.0f * form->lobe_depth * groove * groove * groove * groove;
  }
  if (form->dimple > 0.0f) {
    const float hollow = form->dimple * clamp01(1.0f - (1.0f - s->skin.y) * 6.0f);
    s->normal.x *= 1.0f - 1.8f * hollow;
    s->normal.z *= 1.0f - 1.8f * hollow;
    light *= 1.0f - 0.35f * hollow;
  }
  return light;
}

/* Gradient, blush, mottle, stripes and rings: markings as broad as the fruit. `cloud` is low noise in [-1, 1). */
static orchard_colour paint_ground(const orchard_kind *kind, const surface *s, float cloud) {
  const orchard_skin *skin = &kind->skin;
  const vec3 sunny = {kind->sunny[0], kind->sunny[1], kind->sunny[2]};
  orchard_colour colour = mix(kind->ground, kind->second, skin->gradient * clamp01(0.5f + 0.7f * s->skin.y));
  colour = mix(colour, kind->second, skin->blush * clamp01(1.6f * (dot(s->skin, sunny) - 0.15f + 0.35f * cloud)));
  if (skin->stripe_depth > 0.0f) {
    float unused;
    const float wave = harmonic(s->longitude_cos, s->longitude_sin, skin->stripes, &unused);
    const float fade = clamp01(4.0f * (1.0f - s->skin.y * s->skin.y)); /* they meet at the poles */
    colour = mix(colour, kind->mark, skin->stripe_depth * fade * clamp01(0.5f + 1.4f * wave + 0.9f * cloud));
  }
  if (skin->ring_depth > 0.0f) {
    float place;
    cell_of(s->skin.y * kind->form.length * skin->rings + 0.6f * cloud, &place);
    const float line = clamp01(1.0f - 6.0f * (place < 0.5f ? place : 1.0f - place));
    colour = mix(colour, kind->mark, skin->ring_depth * line);
  }
  return lit(colour, 1.0f + 0.30f * skin->mottle * cloud);
}

/* Spots, net, eye and calyx: small markings. Relief tilts the light by *bump. */
static orchard_colour paint_marks(
    const orchard_kind *kind, const pose *p, const surface *s, vec3 place, orchard_colour colour, float *bump) {
  const orchard_skin *skin = &kind->skin;
  const orchard_form *form = &kind->form;
  if (skin->net > 0.0f) {
    const float thread = noise(kind, place, 7.0f);
    colour = mix(colour, (orchard_colour){214.0f, 198.0f, 160.0f},
        skin->net * clamp01(1.0f - 5.0f * (thread < 0.0f ? -thread : thread)));
  }
  if (skin->spots > 0.0f) {
    vec3 offset;
    const float inside = spot(place, skin->spots, skin->spot_size, kind->spot_key, &offset);
    const vec3 turned = {
        offset.x * p->spin_cos - offset.z * p->spin_sin, offset.y, offset.z * p->spin_cos + offset.x * p->spin_sin};
    *bump = 1.5f * skin->relief * inside * dot(turned, p->lamp);
    colour = mix(colour, kind->mark, skin->spot_depth * inside);
  }
  if (form->eye > 0.0f) {
    colour = mix(colour, kind->mark, clamp01((form->eye - 1.0f - s->skin.y) * 60.0f));
  }
  if (form->calyx > 0.0f) {
    float unused;
    const float wave = harmonic(s->longitude_cos, s->longitude_sin, form->calyx_leaves, &unused);
    const float reach = form->calyx * (0.55f + 0.45f * wave);
    colour = mix(colour, leaf, clamp01((reach - 1.0f + s->skin.y) * 5.0f / form->calyx));
  }
  return colour;
}

/* The colour of the fruit at (u, v), q = u^2 + v^2. */
static orchard_colour paint_fruit(const orchard_kind *kind, const pose *p, float u, float v, float q) {
  if (q > 1.0f) { /* on the blurred edge: take the rim */
    const float back = 1.0f / sqrtf(q);
    u *= back;
    v *= back;
    q = 1.0f;
  }
  surface s = surface_at(&kind->form, p, u, v, sqrtf(1.0f - q));
  const vec3 place = {s.skin.x, s.skin.y * kind->form.length, s.skin.z};
  const float shadow = carve(&kind->form, &s);
  const float cloud = noise(kind, place, 2.3f);
  float bump = 0.0f;
  const orchard_colour colour = paint_marks(kind, p, &s, place, paint_ground(kind, &s, cloud), &bump);

  const float diffuse = clamp01(0.3f + 0.7f * (dot(s.normal, p->lamp) + bump));
  const float light = (0.34f + 0.80f * diffuse) * (0.80f + 0.20f * s.facing) * shadow;
  float shine = dot(s.normal, p->half) + 0.15f * bump;
  shine = shine > 0.0f ? shine : 0.0f;
  for (int i = 0; i < 5; i++) {
    shine *= shine; /* to the 32nd power */
  }
  return mix(lit(colour, light * p->exposure), white, clamp01(0.85f * kind->skin.gloss * shine));
}

/* How much of the pixel at (a, b) the fruit covers, and where on the fruit it lies. */
static float cover_fruit(const orchard_form *form, const pose *p, float a, float b, float *u, float *v, float *q) {
  *v = b / p->half_length;
  const float bent = a - p->bend * *v * *v;
  const float width = width_at(form, *v) * p->side_width[bent > 0.0f];
  *u = bent / width;
  *q = *u * *u + *v * *v;
  if (*q < 0.5f || *q > 2.0f) {
    return *q < 1.0f ? 1.0f : 0.0f;
  }
  const float slope = (-2.0f * p->bend * *v - *u * width_slope(form, *v)) / width;
  const float grad_a = *u / width;
  const float grad_b = (*u * slope + *v) / p->half_length;
  const float pixels = 0.5f * (1.0f - *q) * p->scale / sqrtf(grad_a * grad_a + grad_b * grad_b);
  return clamp01(0.5f + pixels);
}

/* Lays the stem over `below` where it covers the pixel at (a, b). */
static orchard_colour paint_stem(const orchard_form *form, const pose *p, float a, float b, orchard_colour below) {
  const float along = b - p->stem_b;
  if (p->stem_length <= 0.0f || along < -0.1f || along > p->stem_length + 0.1f) {
    return below;
  }
  const float t = clamp01(along / p->stem_length);
  const float off = a - p->stem_a - p->stem_slope * along - p->stem_curve * t * t;
  const float half_width = form->stem_width * (0.8f + 0.4f * t);
  const float side = clamp01(0.5f + (half_width - (off < 0.0f ? -off : off)) * p->scale);
  const float end = clamp01(0.5f + (p->stem_length - along) * p->scale) * clamp01(0.5f + along * p->scale);
  const float light = 0.95f - 0.30f * (off < 0.0f ? -clamp01(-off / half_width) : clamp01(off / half_width));
  return mix(below, lit(form->stem_green != 0 ? leaf : wood, light * p->exposure), side * end);
}

static orchard_colour paint_pixel(const orchard_kind *kind, const pose *p, float a, float b) {
  float u, v, q;
  const int stem_in_front = p->pitch_sin > 0.0f;
  const float cover = cover_fruit(&kind->form, p, a, b, &u, &v, &q);
  orchard_colour colour = white;
  if (!stem_in_front && cover < 1.0f) {
    colour = paint_stem(&kind->form, p, a, b, colour);
  }
  if (cover > 0.0f) {
    colour = mix(colour, paint_fruit(kind, p, u, v, q), cover);
  }
  if (stem_in_front) {
    colour = paint_stem(&kind->form, p, a, b, colour);
  }
  return colour;
}

static uint8_t level(float value) {
  return (uint8_t)(255.0f * clamp01(value * (1.0f / 255.0f)) + 0.5f);
}

void orchard_render(const orchard_kind *kind, uint32_t view, int32_t size, uint8_t *rgb) {
  const pose p = pose_of(kind, view, size);
  const float step = 1.0f / p.scale;
  const float middle = 0.5f * (float)size - 0.5f;
  uint8_t *out = rgb;
  for (int32_t row = 0; row < size; row++) {
    const float y = p.y0 + (middle - (float)row) * step;
    for (int32_t column = 0; column < size; column++, out += 3) {
      const float x = p.x0 + ((float)column - middle) * step;
      const orchard_colour colour =
          paint_pixel(kind, &p, x * p.roll_cos + y * p.roll_sin, y * p.roll_cos - x * p.roll_sin);
      float grain = 0.0f;
      if (colour.r + colour.g + colour.b < 765.0f) { /* Fruits-360 has a pure white ground: no noise there */
        grain = (float)(hash(p.grain + (uint32_t)(row * size + column)) >> 24) * (6.0f / 256.0f) - 3.0f;
      }
      out[0] = level(colour.r + grain);
      out[1] = level(colour.g + grain);
      out[2] = level(colour.b + grain);
    }
  }
}
