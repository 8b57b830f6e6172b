/* pmn_zoo.h - every network of the zoo, one file or family each. */
#ifndef PMN_ZOO_H
#define PMN_ZOO_H

#include "pmn_model.h"

extern const pmn_architecture pmn_zoo_efficientnet_lite0;
/* By width factor: 0.35, 0.5, 0.75, 1.0, 1.3, 1.4. */
extern const pmn_architecture pmn_zoo_mobilenet_v2_035, pmn_zoo_mobilenet_v2_050, pmn_zoo_mobilenet_v2_075,
    pmn_zoo_mobilenet_v2_100, pmn_zoo_mobilenet_v2_130, pmn_zoo_mobilenet_v2_140;
extern const pmn_architecture pmn_zoo_resnet50;
extern const pmn_architecture pmn_zoo_vgg16, pmn_zoo_vgg19;

#endif
