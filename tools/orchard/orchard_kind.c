/* The catalogue: species (forms and markings), varieties (colours), and how a kind is drawn from them.
 *
 * The first kinds of an orchard are those a small demo shows, so the species at the head of the table look least alike
 * and each starts with a colour that suits it. Then the varieties go round, and after species x varieties kinds the
 * numbers ("Apple Red 2") do. */
#include "orchard_kind.h"

#include <stdio.h>

#include "orchard_random.h"

enum { RED, GOLDEN, GREEN, WAX_BLACK, YELLOW, PINK, ORANGE, DARK_GREEN, PURPLE, WHITE, BROWN, MAROON, VARIETIES };

typedef struct variety {
  const char *name;
  orchard_colour ground, second, mark;
} variety;

static const variety varieties[VARIETIES] = {
    [RED] = {"Red", {198, 30, 38}, {232, 176, 70}, {122, 14, 26}},
    [GOLDEN] = {"Golden", {224, 172, 52}, {206, 112, 52}, {142, 90, 36}},
    [GREEN] = {"Green", {122, 172, 54}, {202, 206, 100}, {52, 100, 34}},
    [WAX_BLACK] = {"Wax Black", {58, 32, 50}, {120, 40, 66}, {24, 14, 26}},
    [YELLOW] = {"Yellow", {240, 210, 62}, {172, 192, 76}, {138, 104, 40}},
    [PINK] = {"Pink", {228, 124, 128}, {242, 208, 152}, {176, 58, 92}},
    [ORANGE] = {"Orange", {236, 132, 30}, {244, 184, 64}, {172, 80, 20}},
    [DARK_GREEN] = {"Dark Green", {48, 92, 44}, {108, 140, 66}, {22, 50, 28}},
    [PURPLE] = {"Purple", {98, 42, 102}, {158, 78, 118}, {52, 20, 62}},
    [WHITE] = {"White", {230, 220, 188}, {240, 192, 146}, {168, 144, 104}},
    [BROWN] = {"Brown", {138, 96, 60}, {176, 136, 86}, {82, 52, 34}},
    [MAROON] = {"Maroon", {118, 26, 40}, {178, 68, 54}, {62, 12, 24}},
};

/* Coprime with VARIETIES: all are visited, and the first few of one species differ much. */
#define VARIETY_STRIDE 5

typedef struct species {
  const char *name;
  uint32_t first_variety;
  orchard_form form;
  orchard_skin skin;
} species;

/* Laid out by hand: a species is its form, then its skin. */
/* clang-format off */
static const species catalogue[] = {
    {"Apple", RED,
     {.length = 0.92f, .taper = 0.10f, .ends = 0.10f, .dimple = 1.0f, .stem_length = 0.42f, .stem_width = 0.035f,
      .stem_curve = 0.12f, .eye = 0.012f, .pitch = 0.07f},
     {.gradient = 0.25f, .blush = 0.7f, .mottle = 0.25f, .stripes = 31, .stripe_depth = 0.09f, .gloss = 0.45f}},
    {"Banana", YELLOW,
     {.length = 3.6f, .ends = 0.25f, .bend = 1.5f, .stem_length = 0.75f, .stem_width = 0.22f, .stem_green = 1,
      .lobes = 5, .lobe_depth = 0.05f, .eye = 0.02f, .roll = 0.12f},
     {.gradient = 0.2f, .mottle = 0.15f, .spots = 2.2f, .spot_size = 0.16f, .spot_depth = 0.6f, .gloss = 0.15f}},
    {"Strawberry", RED,
     {.length = 1.18f, .taper = 0.34f, .waist = -0.05f, .calyx = 0.42f, .calyx_leaves = 7, .stem_length = 0.40f,
      .stem_width = 0.05f, .stem_curve = 0.15f, .stem_green = 1, .pitch = 0.03f},
     {.gradient = 0.2f, .mottle = 0.15f, .spots = 5.5f, .spot_size = 0.24f, .spot_depth = 0.8f, .relief = -0.8f,
      .gloss = 0.4f}},
    {"Lemon", YELLOW,
     {.length = 1.32f, .waist = -0.22f, .ends = 0.20f, .stem_length = 0.12f, .stem_width = 0.10f, .stem_green = 1,
      .roll = 0.16f},
     {.gradient = 0.15f, .mottle = 0.12f, .spots = 9.0f, .spot_size = 0.40f, .relief = -0.5f, .gloss = 0.25f}},
    {"Eggplant", WAX_BLACK,
     {.length = 1.9f, .taper = -0.28f, .waist = 0.05f, .calyx = 0.28f, .calyx_leaves = 5, .stem_length = 0.65f,
      .stem_width = 0.14f, .stem_curve = 0.15f, .stem_green = 1, .roll = -0.07f},
     {.gradient = 0.15f, .mottle = 0.08f, .gloss = 0.75f}},
    {"Watermelon", DARK_GREEN,
     {.length = 1.08f, .stem_length = 0.16f, .stem_width = 0.04f, .stem_green = 1, .stem_curve = 0.1f, .roll = 0.05f},
     {.gradient = 0.1f, .mottle = 0.3f, .stripes = 9, .stripe_depth = 0.95f, .gloss = 0.2f}},
    {"Pear", GREEN,
     {.length = 1.38f, .taper = -0.36f, .waist = -0.02f, .stem_length = 0.50f, .stem_width = 0.045f,
      .stem_curve = 0.2f, .eye = 0.015f},
     {.gradient = 0.35f, .blush = 0.4f, .mottle = 0.25f, .spots = 7.0f, .spot_size = 0.12f, .spot_depth = 0.35f,
      .gloss = 0.2f}},
    {"Orange", ORANGE,
     {.length = 0.97f, .dimple = 0.25f, .stem_length = 0.02f, .stem_width = 0.06f, .stem_green = 1, .pitch = 0.11f},
     {.gradient = 0.1f, .mottle = 0.12f, .spots = 11.0f, .spot_size = 0.42f, .relief = -0.9f, .gloss = 0.3f}},
    {"Kiwi", BROWN,
     {.length = 1.22f, .ends = 0.16f, .stem_length = 0.06f, .stem_width = 0.10f, .eye = 0.02f, .roll = 0.2f},
     {.gradient = 0.1f, .mottle = 0.65f, .spots = 14.0f, .spot_size = 0.3f, .spot_depth = 0.3f, .relief = 0.4f}},
    {"Pepper", GREEN,
     {.length = 1.22f, .taper = 0.14f, .waist = 0.12f, .ends = 0.35f, .lobes = 4, .lobe_depth = 0.10f, .dimple = 0.8f,
      .stem_length = 0.45f, .stem_width = 0.10f, .stem_curve = 0.12f, .stem_green = 1, .pitch = 0.05f},
     {.gradient = 0.15f, .mottle = 0.08f, .gloss = 0.8f}},
    {"Cherry", MAROON,
     {.length = 0.93f, .taper = 0.08f, .dimple = 0.6f, .stem_length = 1.9f, .stem_width = 0.045f, .stem_curve = 0.55f,
      .stem_green = 1, .pitch = 0.03f},
     {.gradient = 0.15f, .blush = 0.3f, .mottle = 0.1f, .gloss = 0.9f}},
    {"Carrot", ORANGE,
     {.length = 3.3f, .taper = 0.62f, .waist = -0.14f, .ends = 0.05f, .calyx = 0.02f, .calyx_leaves = 6,
      .stem_length = 0.55f, .stem_width = 0.30f, .stem_green = 1, .roll = 0.09f},
     {.mottle = 0.2f, .rings = 2.6f, .ring_depth = 0.45f, .gloss = 0.1f}},
    {"Melon", WHITE,
     {.length = 1.05f, .lobes = 10, .lobe_depth = 0.03f, .stem_length = 0.14f, .stem_width = 0.07f, .pitch = 0.03f},
     {.gradient = 0.15f, .mottle = 0.2f, .net = 0.8f, .gloss = 0.05f}},
    {"Plum", PURPLE,
     {.length = 1.15f, .lobes = 1, .lobe_depth = 0.03f, .dimple = 0.35f, .stem_length = 0.22f, .stem_width = 0.035f,
      .pitch = 0.04f, .roll = 0.1f},
     {.gradient = 0.2f, .blush = 0.35f, .mottle = 0.55f, .gloss = 0.3f}},
    {"Tomato", RED,
     {.length = 0.80f, .ends = 0.08f, .lobes = 6, .lobe_depth = 0.03f, .dimple = 0.55f, .calyx = 0.26f,
      .calyx_leaves = 5, .stem_length = 0.25f, .stem_width = 0.05f, .stem_curve = 0.08f, .stem_green = 1,
      .pitch = 0.12f},
     {.gradient = 0.25f, .mottle = 0.08f, .gloss = 0.7f}},
    {"Peach", PINK,
     {.length = 0.96f, .taper = 0.03f, .lobes = 1, .lobe_depth = 0.06f, .dimple = 0.7f, .stem_length = 0.08f,
      .stem_width = 0.05f, .pitch = 0.09f},
     {.gradient = 0.2f, .blush = 0.85f, .mottle = 0.45f, .gloss = 0.05f}},
    {"Cucumber", DARK_GREEN,
     {.length = 3.9f, .ends = 0.30f, .bend = 0.5f, .stem_length = 0.25f, .stem_width = 0.12f, .stem_green = 1,
      .roll = 0.13f},
     {.gradient = 0.3f, .mottle = 0.2f, .stripes = 12, .stripe_depth = 0.4f, .spots = 3.0f, .spot_size = 0.2f,
      .relief = 1.0f, .gloss = 0.35f}},
    {"Onion", GOLDEN,
     {.length = 1.0f, .waist = -0.20f, .ends = 0.12f, .stem_length = 0.55f, .stem_width = 0.10f, .stem_curve = 0.05f},
     {.gradient = 0.3f, .mottle = 0.2f, .stripes = 14, .stripe_depth = 0.5f, .gloss = 0.35f}},
    {"Raspberry", PINK,
     {.length = 1.15f, .taper = 0.18f, .calyx = 0.10f, .calyx_leaves = 5, .stem_length = 0.18f, .stem_width = 0.05f,
      .stem_green = 1, .pitch = 0.03f},
     {.gradient = 0.1f, .mottle = 0.15f, .spots = 4.2f, .spot_size = 0.46f, .relief = 2.2f, .gloss = 0.35f}},
    {"Avocado", DARK_GREEN,
     {.length = 1.42f, .taper = -0.24f, .stem_length = 0.08f, .stem_width = 0.08f, .roll = -0.12f},
     {.gradient = 0.2f, .mottle = 0.5f, .spots = 8.0f, .spot_size = 0.42f, .spot_depth = 0.3f, .relief = 0.9f,
      .gloss = 0.25f}},
    {"Pomegranate", MAROON,
     {.length = 0.98f, .waist = -0.06f, .lobes = 6, .lobe_depth = 0.025f, .calyx = 0.03f, .calyx_leaves = 6,
      .stem_length = 0.34f, .stem_width = 0.20f, .pitch = 0.03f},
     {.gradient = 0.4f, .blush = 0.4f, .mottle = 0.35f, .gloss = 0.35f}},
    {"Mango", GOLDEN,
     {.length = 1.36f, .taper = 0.12f, .bend = 0.16f, .flatness = 0.14f, .stem_length = 0.10f, .stem_width = 0.05f,
      .roll = 0.14f},
     {.gradient = 0.5f, .blush = 0.7f, .mottle = 0.2f, .spots = 7.0f, .spot_size = 0.12f, .spot_depth = 0.35f,
      .gloss = 0.3f}},
    {"Potato", BROWN,
     {.length = 1.5f, .ends = 0.10f, .bend = 0.16f, .flatness = 0.10f, .lobes = 3, .lobe_depth = 0.05f, .roll = 0.2f},
     {.mottle = 0.4f, .spots = 1.9f, .spot_size = 0.14f, .spot_depth = 0.7f, .relief = -0.6f}},
    {"Pumpkin", ORANGE,
     {.length = 0.74f, .ends = 0.15f, .lobes = 9, .lobe_depth = 0.09f, .dimple = 0.9f, .stem_length = 0.34f,
      .stem_width = 0.10f, .stem_curve = 0.12f, .stem_green = 1, .pitch = 0.07f},
     {.gradient = 0.2f, .mottle = 0.15f, .gloss = 0.3f}},
    {"Fig", PURPLE,
     {.length = 1.14f, .taper = -0.42f, .waist = -0.10f, .stem_length = 0.16f, .stem_width = 0.10f, .stem_green = 1,
      .eye = 0.02f},
     {.gradient = 0.55f, .mottle = 0.3f, .stripes = 11, .stripe_depth = 0.35f, .gloss = 0.1f}},
    {"Blueberry", PURPLE,
     {.length = 0.86f, .eye = 0.07f, .pitch = -0.15f},
     {.mottle = 0.7f, .gloss = 0.1f}},
    {"Lychee", PINK,
     {.length = 1.06f, .taper = 0.06f, .stem_length = 0.32f, .stem_width = 0.045f, .stem_curve = 0.1f, .pitch = 0.04f},
     {.gradient = 0.25f, .mottle = 0.25f, .spots = 6.0f, .spot_size = 0.46f, .spot_depth = 0.5f, .relief = 1.6f}},
    {"Apricot", ORANGE,
     {.length = 1.02f, .lobes = 1, .lobe_depth = 0.08f, .dimple = 0.5f, .stem_length = 0.05f, .stem_width = 0.04f,
      .flatness = 0.05f, .pitch = 0.06f},
     {.gradient = 0.35f, .blush = 0.6f, .mottle = 0.3f, .spots = 6.0f, .spot_size = 0.1f, .spot_depth = 0.3f,
      .gloss = 0.05f}},
};
/* clang-format on */

#define SPECIES ((uint32_t)(sizeof(catalogue) / sizeof(catalogue[0])))

/* index = species + SPECIES x (round of varieties + VARIETIES x (number - 1)), in one place for name and colours. */
static const species *species_of(uint32_t index) {
  return &catalogue[index % SPECIES];
}

static const variety *variety_of(uint32_t index) {
  const uint32_t round = (index / SPECIES) % VARIETIES;
  return &varieties[(species_of(index)->first_variety + VARIETY_STRIDE * round) % VARIETIES];
}

static uint32_t number_of(uint32_t index) {
  return 1 + index / (SPECIES * VARIETIES);
}

void orchard_kind_name(uint32_t index, char *name, size_t size) {
  snprintf(name, size, "%s %s %u", species_of(index)->name, variety_of(index)->name, (unsigned)number_of(index));
}

/* Draws are made one statement each: C leaves the order inside one expression open, and the bytes must not. */

static float draw_scaled(orchard_random *random, float value, float part) {
  return value * orchard_random_between(random, 1.0f - part, 1.0f + part);
}

static orchard_colour draw_tint(orchard_random *random, orchard_colour colour) {
  const float light = orchard_random_between(random, -14.0f, 14.0f);
  orchard_colour tint = colour;
  tint.r += light + orchard_random_between(random, -12.0f, 12.0f);
  tint.g += light + orchard_random_between(random, -12.0f, 12.0f);
  tint.b += light + orchard_random_between(random, -10.0f, 10.0f);
  return tint;
}

static void draw_form(orchard_random *random, orchard_form *form) {
  form->length = draw_scaled(random, form->length, 0.09f);
  form->taper += orchard_random_between(random, -0.05f, 0.05f);
  form->waist += orchard_random_between(random, -0.05f, 0.05f);
  form->bend = draw_scaled(random, form->bend, 0.3f);
  form->lobe_depth = draw_scaled(random, form->lobe_depth, 0.3f);
  form->stem_length = draw_scaled(random, form->stem_length, 0.35f);
  form->stem_width = draw_scaled(random, form->stem_width, 0.25f);
  form->stem_curve = draw_scaled(random, form->stem_curve, 0.5f);
  form->calyx = draw_scaled(random, form->calyx, 0.25f);
  form->pitch += orchard_random_between(random, -0.02f, 0.04f);
  form->roll += orchard_random_between(random, -0.05f, 0.05f);
}

/* Half of the kinds get one marking more than their species has: what a breeder would call a sport. */
static void draw_sport(orchard_random *random, orchard_skin *skin) {
  const uint32_t sport = orchard_random_below(random, 8);
  const float depth = orchard_random_between(random, 0.3f, 0.7f);
  const uint32_t count = 5 + orchard_random_below(random, 9);
  if (sport == 0 && skin->stripe_depth <= 0.0f) {
    skin->stripes = count;
    skin->stripe_depth = depth;
  } else if (sport == 1 && skin->spots <= 0.0f) {
    skin->spots = 2.0f + 0.4f * (float)count;
    skin->spot_size = 0.2f;
    skin->spot_depth = depth;
  } else if (sport == 2) {
    skin->net = depth;
  } else if (sport == 3) {
    skin->blush = depth + 0.3f;
  }
}

static void draw_skin(orchard_random *random, orchard_skin *skin) {
  skin->gradient += orchard_random_between(random, 0.0f, 0.3f);
  skin->blush = draw_scaled(random, skin->blush, 0.4f);
  skin->mottle = draw_scaled(random, skin->mottle, 0.4f);
  skin->stripe_depth = draw_scaled(random, skin->stripe_depth, 0.3f);
  skin->ring_depth = draw_scaled(random, skin->ring_depth, 0.3f);
  skin->spots = draw_scaled(random, skin->spots, 0.15f);
  skin->gloss = draw_scaled(random, skin->gloss, 0.25f);
  draw_sport(random, skin);
}

/* The blush looks up and outwards, as if the fruit had hung in the sun. Rational points of the circle, no trigonometry:
 * with t in [-1, 1), ((1 - t^2), 2 t) / (1 + t^2) is the half circle that matters; the turntable shows the rest. */
static void draw_sunny(orchard_random *random, float sunny[3]) {
  const float t = orchard_random_between(random, -1.0f, 1.0f);
  const float across = 0.8f / (1.0f + t * t);
  sunny[0] = across * (1.0f - t * t);
  sunny[1] = 0.6f;
  sunny[2] = across * 2.0f * t;
}

void orchard_kind_init(orchard_kind *kind, uint64_t seed, uint32_t index) {
  const species *base = species_of(index);
  const variety *colours = variety_of(index);
  orchard_random random = orchard_random_of(seed, index, 0);

  kind->seed = seed;
  kind->index = index;
  kind->form = base->form;
  kind->skin = base->skin;
  draw_form(&random, &kind->form);
  draw_skin(&random, &kind->skin);
  kind->ground = draw_tint(&random, colours->ground);
  kind->second = draw_tint(&random, colours->second);
  kind->mark = draw_tint(&random, colours->mark);
  draw_sunny(&random, kind->sunny);
  kind->spot_key = (uint32_t)orchard_random_next(&random);
  for (size_t i = 0; i < sizeof(kind->lattice) / sizeof(kind->lattice[0]); i++) {
    kind->lattice[i] = orchard_random_between(&random, -1.0f, 1.0f);
  }
}
