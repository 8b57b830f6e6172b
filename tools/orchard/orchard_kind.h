/* A kind of fruit: its name, its form and its skin, all drawn from (seed, kind index).
 *
 * A kind is a species (form: pear, banana, ...) times a variety (colours: Red, Wax Black, ...) times a number; two
 * kinds of one species and variety still differ in proportions, tint and markings. Names depend on the index alone. */
#ifndef ORCHARD_KIND_H
#define ORCHARD_KIND_H

#include <stddef.h>
#include <stdint.h>

/* Longest name with its final zero: "Watermelon Dark Green 4294967295" and room to spare. */
#define ORCHARD_NAME_SIZE 48

/* Edge of the noise lattice; a power of two, since the lattice repeats. */
#define ORCHARD_LATTICE 16

typedef struct orchard_colour {
  float r, g, b; /* 0 to 255 */
} orchard_colour;

/* The body is an ellipsoid of half-width 1 whose width varies along its axis v in [-1, 1] (stem end at +1):
 *   width(v) = 1 + taper v + waist v^2 + ends v^4
 * Angles are in turns. Zero means "does not have it". */
typedef struct orchard_form {
  float length;        /* half-length of the body, in half-widths */
  float taper;         /* > 0: wide at the stem end (strawberry); < 0: wide at the bottom (pear) */
  float waist;         /* < 0: pointed ends (lemon); > 0: square ends (pepper) */
  float ends;          /* the same, felt only near the ends */
  float bend;          /* how far the ends leave the axis, in half-widths (banana) */
  float flatness;      /* 0: round seen from the stem; 0.2: an oval */
  uint32_t lobes;      /* grooves along the body (pepper, pumpkin) */
  float lobe_depth;    /* their depth, in half-widths */
  float dimple;        /* 0 to 1: hollow around the stem (apple) */
  float stem_length;   /* in half-widths */
  float stem_width;    /* half-width of the stem, in half-widths of the body */
  float stem_curve;    /* how far the tip leaves the stem's line, in half-widths of the body */
  uint32_t stem_green; /* 1: green stem, 0: brown */
  float calyx;         /* reach of the leaves around the stem, 1 - cos(angle from the pole) */
  uint32_t calyx_leaves;
  float eye;   /* reach of the dark spot at the blossom end, 1 - cos(angle) */
  float pitch; /* how far the stem end leans to the viewer on the turntable, turns */
  float roll;  /* how far it leans to the left, turns */
} orchard_form;

/* Markings; depths are 0 (absent) to 1 (full colour of the mark). */
typedef struct orchard_skin {
  float gradient;   /* from the skin's colour to the second one, bottom to stem */
  float blush;      /* patch of the second colour on the sunny side */
  float mottle;     /* cloudiness of the colour */
  uint32_t stripes; /* number around the body */
  float stripe_depth;
  float rings; /* across the axis, per half-width */
  float ring_depth;
  float spots;     /* spots per half-width */
  float spot_size; /* radius as a part of the room that a spot has, below 0.5 */
  float spot_depth;
  float relief; /* > 0: spots stand out (raspberry); < 0: pits (orange peel) */
  float net;    /* pale net on the skin (melon) */
  float gloss;  /* height of the highlight */
} orchard_skin;

typedef struct orchard_kind {
  uint64_t seed;
  uint32_t index;
  orchard_form form;
  orchard_skin skin;
  orchard_colour ground;                                              /* the skin itself */
  orchard_colour second;                                              /* gradient and blush */
  orchard_colour mark;                                                /* stripes, rings, spots, eye */
  float sunny[3];                                                     /* unit vector to the middle of the blush */
  uint32_t spot_key;                                                  /* where the spots lie */
  float lattice[ORCHARD_LATTICE * ORCHARD_LATTICE * ORCHARD_LATTICE]; /* noise in [-1, 1) */
} orchard_kind;

/* Writes the name of kind `index` into name[size]; size >= ORCHARD_NAME_SIZE. Distinct for distinct indices. */
void orchard_kind_name(uint32_t index, char *name, size_t size);

/* Draws kind `index` of the orchard `seed`. No allocation. */
void orchard_kind_init(orchard_kind *kind, uint64_t seed, uint32_t index);

#endif
