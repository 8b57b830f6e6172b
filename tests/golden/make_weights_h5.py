"""What Keras, torchvision and timm write: small .h5 files by Keras itself, and the names and shapes of real networks.

Run by hand, with tensorflow 2.21, keras 3.15.1, tf_keras 2.21.0, torch 2.15, torchvision and timm (versions at the end
of weights_names.csv), twice, because TensorFlow and PyTorch do not like to be in one process:

    make_weights_h5.py FOLDER keras && make_weights_h5.py FOLDER torch

weights_keras2.h5        legacy weights, by tf_keras
weights_keras2_split.h5  the same with a limit on attributes so low that Keras splits layer_names and weight_names
weights_keras2_model.h5  a full model, by Keras 3: the tree is under /model_weights
weights_keras2_nested.h5 a model within a model, by tf_keras
weights_keras3.weights.h5         by Keras 3: vars have the layer's name as attribute
weights_keras3_unnamed.weights.h5 by tf_keras: they have not
weights_names.csv        source, network, tensor, shape: every tensor in the order of definition

The k-th weight of all small files (in the order of model.layers) holds 1000 k, 1000 k + 1, ...
"""

import csv
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

FOLDER, SIDE = pathlib.Path(sys.argv[1]), sys.argv[2]
if SIDE == "keras":
    import keras
    import tf_keras
    from tf_keras.src.saving.legacy import hdf5_format

    MODULES = [keras, tf_keras]
else:
    import timm
    import torch
    import torchvision

    MODULES = [torch, torchvision, timm]


def small_model(k, nested=False):
    """A layer of each kind, two convolutions so that they have an order."""
    k.backend.clear_session()
    inputs = k.Input((8, 8, 3))
    x = k.layers.Conv2D(4, 3, name="first")(inputs)
    x = k.layers.BatchNormalization(name="norm")(x)
    x = k.layers.DepthwiseConv2D(3, use_bias=False, name="depth")(x)
    x = k.layers.ReLU(name="relu")(x)
    x = k.layers.Conv2D(2, 1, use_bias=False, name="second")(x)
    if nested:
        x = k.Model(inputs, x, name="inner")(outer := k.Input((8, 8, 3)))
        inputs = outer
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    model = k.Model(inputs, k.layers.Dense(5, name="dense")(x))
    model.set_weights([1000 * i + np.arange(w.size, dtype=np.float32).reshape(w.shape)
                       for i, w in enumerate(model.get_weights())])
    return model


def with_limit(module, limit, save):
    before = module.HDF5_OBJECT_HEADER_LIMIT
    module.HDF5_OBJECT_HEADER_LIMIT = limit
    save()
    module.HDF5_OBJECT_HEADER_LIMIT = before


def save_small():
    model = small_model(tf_keras)
    model.save_weights(FOLDER / "weights_keras2.h5", save_format="h5")
    with_limit(hdf5_format, 30, lambda: model.save_weights(FOLDER / "weights_keras2_split.h5", save_format="h5"))
    model.save_weights(FOLDER / "weights_keras3_unnamed.weights.h5")
    small_model(tf_keras, nested=True).save_weights(FOLDER / "weights_keras2_nested.h5", save_format="h5")
    model = small_model(keras)
    model.save_weights(FOLDER / "weights_keras3.weights.h5")
    model.save(FOLDER / "weights_keras2_model.h5")


def keras_rows():
    a = keras.applications
    for network, model in (
        ("mobilenet_v2_0.35", a.MobileNetV2(weights=None, alpha=0.35, input_shape=(224, 224, 3))),
        ("resnet50", a.ResNet50(weights=None)),
        ("vgg16", a.VGG16(weights=None)),
        ("vgg19", a.VGG19(weights=None)),
    ):
        for layer in model.layers:
            for weight in layer.weights:
                yield "keras", network, f"{layer.name}/{weight.name}", weight.shape


def torch_rows():
    tv = torchvision.models
    for source, network, model in (
        ("torchvision", "mobilenet_v2", tv.mobilenet_v2(weights=None)),
        ("torchvision", "resnet50", tv.resnet50(weights=None)),
        ("torchvision", "vgg16", tv.vgg16(weights=None)),
        ("torchvision", "vgg19", tv.vgg19(weights=None)),
        ("timm", "mobilenet_v2", timm.create_model("mobilenetv2_100")),
        ("timm", "resnet50", timm.create_model("resnet50")),
        ("timm", "vgg16", timm.create_model("vgg16")),
        ("timm", "vgg19", timm.create_model("vgg19")),
        ("timm", "efficientnet_lite0", timm.create_model("efficientnet_lite0")),
    ):
        for name, tensor in model.state_dict().items():
            yield source, network, name, tensor.shape


def main():
    FOLDER.mkdir(exist_ok=True)
    if SIDE == "keras":
        save_small()
    with open(FOLDER / "weights_names.csv", "w" if SIDE == "keras" else "a", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        for source, network, name, shape in keras_rows() if SIDE == "keras" else torch_rows():
            out.writerow([source, network, name, "x".join(map(str, shape))])
        for module in MODULES:
            out.writerow(["version", module.__name__, module.__version__, ""])


main()
