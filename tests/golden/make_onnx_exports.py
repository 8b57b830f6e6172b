#!/usr/bin/env python3
"""Makes tests/golden/onnx_exports/*.onnx. Usage: make_onnx_exports.py torch|keras

Real topologies, real exporters, no weight: networks of torchvision, timm and Keras at a few channels, with seeded
weights and jittered batch norms, as their users' exporters write them at opsets 7 to 22. test_onnx_live.py runs them
through pomona and ONNX Runtime. "torch" wants requirements-features.txt with onnx and onnxscript, "keras" wants Keras 2
with tf2onnx (see onnx_exports/README.md); the files name their exporter. Documentation strings and traces are taken out.
"""
import pathlib
import sys

import numpy as np
import onnx

FOLDER = pathlib.Path(__file__).resolve().parent / "onnx_exports"
SEED = 360


def finish(name):
    """Takes out what does not compute: traces of the source code are most of a small file."""
    path = FOLDER / f"{name}.onnx"
    model = onnx.load(path)
    model.doc_string = ""
    for part in [model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]:
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
    operators = sorted({node.op_type for node in model.graph.node})
    print(f"{name}: {path.stat().st_size} bytes, opset {model.opset_import[0].version}, {' '.join(operators)}", flush=True)


# ------------------------------------------------------------------------------------------------------- PyTorch --


def torch_networks():
    """{name: (network, size, opset, exporter, open size)}"""
    from functools import partial

    import timm.models.resnet
    import torch
    from torch import nn
    from torchvision.models import convnext, densenet, efficientnet, mobilenetv2, mobilenetv3, regnet, shufflenetv2
    from torchvision.models.resnet import BasicBlock, Bottleneck

    def shortcut(cin, cout, stride):
        return nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def resnet(groups=1):  # torchvision's own cannot have fewer than 64 channels
        stem = [nn.Conv2d(3, 6, 7, 2, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        blocks = [
            BasicBlock(6, 6),
            BasicBlock(6, 8, 2, shortcut(6, 8, 2)),
            Bottleneck(8, 4, 1, shortcut(8, 16, 1), groups=groups, base_width=64 if groups == 1 else 128),
            Bottleneck(16, 4, 1, dilation=2),
        ]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def vgg():  # with AdaptiveAvgPool2d that has nothing to do, and two dense layers
        layers = []
        for cin, cout in ((3, 6), (6, 8), (8, 8)):
            layers += [nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
        dense = [nn.Flatten(), nn.Linear(8 * 16, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 10)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), *dense)

    def shufflenet():  # the script exporter writes 8 kB for each unit
        units = [shufflenetv2.InvertedResidual(8, 8, 2), shufflenetv2.InvertedResidual(8, 8, 1)]
        stem = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        return nn.Sequential(*stem, *units, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    class Inception(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True))
            self.narrow, self.wide = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, (1, 7), padding=(0, 3))
            self.pool, self.project = nn.AvgPool2d(3, 1, 1), nn.Conv2d(8, 6, 1)
            self.down = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
            self.head = nn.Linear(18, 10)

        def forward(self, x):
            x = self.stem(x)
            x = torch.cat([self.narrow(x), self.wide(x), self.project(self.pool(x))], 1)
            return self.head(self.down(torch.relu(x)).mean((2, 3)))

    class SqueezeNet(nn.Module):  # its classifier is a convolution before the pooling
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True))
            self.squeeze, self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, padding=1)
            self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(16, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

        def forward(self, x):
            x = torch.relu(self.squeeze(self.stem(x)))
            x = torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)
            return torch.flatten(self.classifier(x), 1)

    inverted = partial(mobilenetv3.InvertedResidualConfig, width_mult=1.0)
    mobilenet_v3 = [
        inverted(8, 3, 8, 8, True, "RE", 2, 1),
        inverted(8, 3, 12, 8, False, "RE", 2, 1),
        inverted(8, 5, 16, 8, True, "HS", 1, 1),
    ]
    mbconv, fused = efficientnet.MBConvConfig, efficientnet.FusedMBConvConfig
    channels_last = convnext.CNBlockConfig
    params = regnet.BlockParams([1, 2], [4, 8], [4, 4], [1.0, 1.0], [2, 2], 0.25)
    return {
        "resnet_op7": (resnet(), 48, 7, "script", False),
        "resnext_op22_dynamo": (resnet(groups=2), 48, 22, "dynamo", False),
        "resnet_d_op17": (
            timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, (1, 1, 1, 1), 10, stem_width=3, stem_type="deep", avg_down=True,
                                      channels=(4, 5, 6, 8)), 101, 17, "script", False),
        "vgg_bn_op11": (vgg(), 32, 11, "script", False),
        "inception_op12": (Inception(), 47, 12, "script", False),
        "squeezenet_op8": (SqueezeNet(), 47, 8, "script", False),
        "mobilenet_v2_op10": (mobilenetv2.MobileNetV2(10, 0.25, [[1, 32, 1, 1], [2, 48, 2, 2]], 4), 48, 10, "script", False),
        "mobilenet_v2_op19_dynamo_open": (
            mobilenetv2.MobileNetV2(10, 0.25, [[1, 32, 1, 1], [2, 48, 2, 2]], 4), 48, 19, "dynamo", True),
        "mobilenet_v3_op13": (mobilenetv3.MobileNetV3(mobilenet_v3, 16, 10), 48, 13, "script", False),
        "mobilenet_v3_op18_dynamo": (mobilenetv3.MobileNetV3(mobilenet_v3, 16, 10), 48, 18, "dynamo", False),
        "efficientnet_v2_op20_dynamo": (
            efficientnet.EfficientNet([fused(2, 3, 2, 8, 8, 1), mbconv(2, 3, 2, 8, 8, 1)], 0.2, num_classes=10,
                                      last_channel=24), 48, 20, "dynamo", False),
        "densenet_op9": (densenet.DenseNet(3, (2, 1), 6, num_classes=10), 48, 9, "script", False),
        "shufflenet_v2_op13_open": (shufflenet(), 48, 13, "script", True),
        "shufflenet_v2_op21_dynamo": (shufflenetv2.ShuffleNetV2([1, 2, 1], [8, 8, 12, 12, 16], 10), 48, 21, "dynamo", False),
        "regnet_y_op16": (regnet.RegNet(params, 10, stem_width=4), 48, 16, "script", False),
        "convnext_op14": (convnext.ConvNeXt([channels_last(6, 8, 1), channels_last(8, None, 1)], num_classes=10), 48, 14,
                          "script", False),
        "convnext_op17_open": (convnext.ConvNeXt([channels_last(6, 8, 1), channels_last(8, None, 1)], num_classes=10), 48, 17,
                               "script", True),
    }


def make_torch():
    import torch

    torch.manual_seed(SEED)
    for name, (network, size, opset, exporter, open_size) in torch_networks().items():
        torch.manual_seed(SEED)
        if isinstance(getattr(network, "classifier", None), torch.nn.Sequential) and name.startswith("mobilenet_v2"):
            network.features[-1] = type(network.features[-1])(12, 24, kernel_size=1, activation_layer=torch.nn.ReLU6)
            network.classifier[1] = torch.nn.Linear(24, 10)  # the head cannot be made narrow by an argument
        with torch.no_grad():
            for key, value in network.named_parameters():
                if key.endswith(("layer_scale", "gamma")):
                    value.uniform_(0.3, 0.7)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.weight.uniform_(0.8, 1.2)
                    module.bias.uniform_(-0.3, 0.3)
                    module.momentum = None
                elif isinstance(module, torch.nn.Linear):
                    module.weight.uniform_(-0.5, 0.5)
            network.train()(torch.randn(16, 3, size, size))
        network.eval()
        x, path = torch.randn(2, 3, size, size), FOLDER / f"{name}.onnx"
        names = {"input_names": ["pictures"], "output_names": ["classes"]}
        with torch.inference_mode():
            if exporter == "script":
                axes = {0: "batch"} | ({2: "height", 3: "width"} if open_size else {})
                torch.onnx.export(network, (x,), path, opset_version=opset, dynamo=False, dynamic_axes={"pictures": axes}, **names)
            else:
                auto = torch.export.Dim.DYNAMIC
                axes = {0: auto} | ({2: auto, 3: auto} if open_size else {})
                torch.onnx.export(network, (x,), path, opset_version=opset, dynamo=True, dynamic_shapes=(axes,), verbose=False,
                                  external_data=False, **names)
        finish(name)


# --------------------------------------------------------------------------------------------------------- Keras --


def keras_networks():
    """{name: (network, opset, channels first)}"""
    from tensorflow.keras import Model, layers

    def conv(x, filters, kernel=1, stride=1, activation="relu6"):
        if stride == 2:  # as Keras's applications pad
            x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = layers.Conv2D(filters, kernel, stride, "valid" if stride == 2 else "same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return layers.Activation(activation)(x) if activation else x

    def separable(x, kernel=3, stride=1, activation="relu6"):
        if stride == 2:
            x = layers.ZeroPadding2D(((kernel // 2 - 1, kernel // 2),) * 2)(x)
        x = layers.DepthwiseConv2D(kernel, stride, "valid" if stride == 2 else "same", use_bias=False)(x)
        return layers.Activation(activation)(layers.BatchNormalization()(x))

    def squeeze_excite(x, act="sigmoid"):
        channels = x.shape[-1]
        s = layers.GlobalAveragePooling2D()(x)
        s = layers.Reshape((1, 1, channels))(s)
        s = layers.Conv2D(4, 1, activation="relu")(s)
        return layers.Multiply()([x, layers.Conv2D(channels, 1, activation=act)(s)])

    def hard_swish(x):
        return layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])

    def classifier(x):
        return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))

    def mobilenet(side, top):
        given = layers.Input((side, side, 3), name="pictures")
        x = conv(given, 8, 3, 2)
        x = conv(separable(x), 12, activation=None)
        x = layers.Add()([x, conv(separable(conv(x, 24)), 12, activation=None)])
        x = separable(conv(x, 24), 5, 2)
        return Model(given, classifier(x) if top else x)

    def efficientnet():
        given = layers.Input((48, 48, 3), name="pictures")
        x = layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05, 0.05, 0.05])(layers.Rescaling(1 / 255.0)(given))
        x = conv(x, 8, 3, 2, "swish")
        x = squeeze_excite(separable(x, 3, 2, "swish"))
        return Model(given, classifier(conv(x, 16, activation="swish")))

    def mobilenet_v3():
        given = layers.Input((48, 48, 3), name="pictures")
        x = hard_swish(conv(layers.Rescaling(1 / 127.5, offset=-1)(given), 8, 3, 2, None))
        x = squeeze_excite(separable(x, 3, 2, "relu"), "hard_sigmoid")
        x = hard_swish(conv(x, 16, activation=None))
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = hard_swish(layers.Conv2D(24, 1)(x))
        return Model(given, layers.Softmax()(layers.Flatten()(layers.Conv2D(10, 1)(x))))

    def resnet_v2():
        given = layers.Input((48, 48, 3), name="pictures")
        x = layers.MaxPooling2D(3, 2, "same")(layers.Conv2D(8, 7, 2, "same")(given))
        y = layers.Activation("relu")(layers.BatchNormalization()(x))
        y = layers.Conv2D(8, 3, padding="same", dilation_rate=2)(y)
        x = layers.LeakyReLU(0.1)(layers.Add()([x, y]))
        x = layers.AveragePooling2D(3, 2, "same")(layers.Concatenate()([x, y]))
        x = layers.Dense(12, activation="elu")(layers.GlobalMaxPooling2D()(x))
        return Model(given, layers.Dense(10)(x))

    return {
        "keras_mobilenet_op9": (mobilenet(48, True), 9, False),
        "keras_mobilenet_op13_nchw": (mobilenet(48, True), 13, True),
        "keras_mobilenet_notop_op15_open": (mobilenet(None, False), 15, False),
        "keras_efficientnet_op15": (efficientnet(), 15, False),
        "keras_mobilenet_v3_op17": (mobilenet_v3(), 17, False),
        "keras_resnet_v2_op11": (resnet_v2(), 11, False),
    }


def make_keras():
    import tensorflow as tf
    import tf2onnx

    tf.keras.utils.set_random_seed(SEED)
    random = np.random.default_rng(SEED)
    for name, (network, opset, channels_first) in keras_networks().items():
        for weight in network.weights:
            part = weight.name.rsplit("/", 1)[-1].split(":")[0]
            if part.endswith("kernel"):  # keeps the size of what flows through a ReLU
                bound = np.sqrt(6 / np.prod(weight.shape[:2] if part == "depthwise_kernel" else weight.shape[:-1]))
                weight.assign(random.uniform(-bound, bound, weight.shape))
            elif part in ("bias", "beta", "gamma", "moving_mean", "moving_variance"):
                low, high = {"gamma": (0.8, 1.2), "moving_variance": (0.5, 1.5)}.get(part, (-0.3, 0.3))
                weight.assign(random.uniform(low, high, weight.shape))
        signature = [tf.TensorSpec([None, *network.input.shape[1:]], tf.float32, name="pictures")]
        tf2onnx.convert.from_keras(network, signature, opset=opset, inputs_as_nchw=["pictures"] if channels_first else None,
                                   output_path=str(FOLDER / f"{name}.onnx"))
        finish(name)


FOLDER.mkdir(exist_ok=True)
if sys.argv[1:] == ["torch"]:
    make_torch()
elif sys.argv[1:] == ["keras"]:
    make_keras()
else:
    sys.exit(__doc__)
