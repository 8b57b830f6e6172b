#!/usr/bin/env python3
"""Makes the ONNX files that judge_onnx.py runs. Usage: make_models.py torch|keras FOLDER [NAME...]

Networks of torchvision, timm and Keras, exported as their users export them: by the TorchScript exporter at several
opsets, by the dynamo exporter, by tf2onnx; with open and with fixed batch and picture size. Published weights cannot be
had everywhere, and the arithmetic is the same for others: weights are the library's own initial ones from a fixed seed,
then batch norm's statistics are measured on a few real pictures, so that what flows is of normal size, and its scale
and shift are jittered, so that a swap of them shows. FOLDER gets NAME.onnx and NAME.json, which says how to run it.
"""
import json
import pathlib
import sys

import numpy as np

import judging

SEED = 360

# name: (library, network, preprocessing, size, opset, exporter, open batch, open size)
TORCH = {
    "resnet18_op7": ("torchvision", "resnet18", 224, 7, "script", False, False),
    "resnet18_op9": ("torchvision", "resnet18", 224, 9, "script", True, False),
    "resnet18_op11_open": ("torchvision", "resnet18", 224, 11, "script", True, True),
    "resnet18_op18_dynamo": ("torchvision", "resnet18", 224, 18, "dynamo", False, False),
    "resnet18_op20_dynamo_open": ("torchvision", "resnet18", 224, 20, "dynamo", True, True),
    "resnet18_op22_dynamo": ("torchvision", "resnet18", 224, 22, "dynamo", True, False),
    "resnet50_op13": ("torchvision", "resnet50", 224, 13, "script", True, True),
    "resnet50_op18_dynamo": ("torchvision", "resnet50", 224, 18, "dynamo", True, False),
    "vgg11_bn_op11": ("torchvision", "vgg11_bn", 224, 11, "script", True, False),
    "vgg16_op13": ("torchvision", "vgg16", 224, 13, "script", False, False),
    "mobilenet_v2_op7": ("torchvision", "mobilenet_v2", 224, 7, "script", False, False),
    "mobilenet_v2_op9_open": ("torchvision", "mobilenet_v2", 224, 9, "script", True, True),
    "mobilenet_v2_op11": ("torchvision", "mobilenet_v2", 224, 11, "script", True, False),
    "mobilenet_v2_op13_open": ("torchvision", "mobilenet_v2", 224, 13, "script", True, True),
    "mobilenet_v2_op17": ("torchvision", "mobilenet_v2", 224, 17, "script", True, False),
    "mobilenet_v2_op19_dynamo": ("torchvision", "mobilenet_v2", 224, 19, "dynamo", False, False),
    "mobilenet_v2_op21_dynamo_open": ("torchvision", "mobilenet_v2", 224, 21, "dynamo", True, True),
    "mobilenet_v3_small_op13": ("torchvision", "mobilenet_v3_small", 224, 13, "script", True, False),
    "mobilenet_v3_small_op14_open": ("torchvision", "mobilenet_v3_small", 224, 14, "script", True, True),
    "mobilenet_v3_small_op18_dynamo": ("torchvision", "mobilenet_v3_small", 224, 18, "dynamo", False, False),
    "mobilenet_v3_large_op11": ("torchvision", "mobilenet_v3_large", 224, 11, "script", True, False),
    "mobilenet_v3_large_op17": ("torchvision", "mobilenet_v3_large", 224, 17, "script", True, False),
    "efficientnet_b0_op11": ("torchvision", "efficientnet_b0", 224, 11, "script", True, False),
    "efficientnet_b0_op17_open": ("torchvision", "efficientnet_b0", 224, 17, "script", True, True),
    "efficientnet_b0_op18_dynamo": ("torchvision", "efficientnet_b0", 224, 18, "dynamo", True, False),
    "densenet121_op9": ("torchvision", "densenet121", 224, 9, "script", True, False),
    "densenet121_op17": ("torchvision", "densenet121", 224, 17, "script", True, True),
    "squeezenet1_1_op8": ("torchvision", "squeezenet1_1", 224, 8, "script", False, False),
    "squeezenet1_1_op13": ("torchvision", "squeezenet1_1", 224, 13, "script", True, True),
    "regnet_y_400mf_op13": ("torchvision", "regnet_y_400mf", 224, 13, "script", True, False),
    "regnet_x_400mf_op16": ("torchvision", "regnet_x_400mf", 224, 16, "script", True, True),
    "shufflenet_v2_x1_0_op9": ("torchvision", "shufflenet_v2_x1_0", 224, 9, "script", False, False),
    "shufflenet_v2_x1_0_op13": ("torchvision", "shufflenet_v2_x1_0", 224, 13, "script", True, False),
    "shufflenet_v2_x1_0_op17_open": ("torchvision", "shufflenet_v2_x1_0", 224, 17, "script", True, True),
    "shufflenet_v2_x1_0_op18_dynamo": ("torchvision", "shufflenet_v2_x1_0", 224, 18, "dynamo", True, False),
    "resnext50_32x4d_op17": ("torchvision", "resnext50_32x4d", 224, 17, "script", True, False),
    "convnext_tiny_op13": ("torchvision", "convnext_tiny", 224, 13, "script", False, False),
    "convnext_tiny_op17_open": ("torchvision", "convnext_tiny", 224, 17, "script", True, True),
    "convnext_tiny_op18_dynamo": ("torchvision", "convnext_tiny", 224, 18, "dynamo", True, False),
    "googlenet_op13": ("torchvision", "googlenet", 224, 13, "script", True, False),
    "inception_v3_op17": ("torchvision", "inception_v3", 299, 17, "script", True, False),
    "mnasnet0_5_op10": ("torchvision", "mnasnet0_5", 224, 10, "script", True, True),
    "alexnet_op13": ("torchvision", "alexnet", 224, 13, "script", True, False),
    "timm_efficientnet_lite0_op13": ("timm", "efficientnet_lite0", 224, 13, "script", True, False),
    "timm_tf_efficientnet_lite0_op18_dynamo": ("timm", "tf_efficientnet_lite0", 224, 18, "dynamo", True, False),
    "timm_tf_efficientnet_b0_op17": ("timm", "tf_efficientnet_b0", 224, 17, "script", True, False),
    "timm_tf_efficientnet_b0_op17_open": ("timm", "tf_efficientnet_b0", 224, 17, "script", True, True),
    "timm_mobilenetv3_large_100_op12": ("timm", "mobilenetv3_large_100", 224, 12, "script", True, False),
    "timm_mobilenetv3_large_100_op18_dynamo": ("timm", "mobilenetv3_large_100", 224, 18, "dynamo", True, False),
    "timm_resnet50d_op17": ("timm", "resnet50d", 224, 17, "script", True, False),
    "timm_hardcorenas_a_op13": ("timm", "hardcorenas_a", 224, 13, "script", True, False),
    "timm_ghostnet_100_op17": ("timm", "ghostnet_100", 224, 17, "script", True, False),
    "timm_seresnet18_op17": ("timm", "legacy_seresnet18", 224, 17, "script", True, False),
    "timm_resnetv2_50_op17": ("timm", "resnetv2_50", 224, 17, "script", True, False),
    "timm_convnext_atto_op17": ("timm", "convnext_atto", 224, 17, "script", True, False),
    "timm_repvgg_a0_op17": ("timm", "repvgg_a0", 224, 17, "script", True, False),
    "timm_mobileone_s0_op13": ("timm", "mobileone_s0", 224, 13, "script", True, False),
    "timm_mixnet_s_op13": ("timm", "mixnet_s", 224, 13, "script", True, False),
    "timm_dla34_op17": ("timm", "dla34", 224, 17, "script", True, False),
}
# name: (network, arguments, preprocessing, size, opset, channels first, open batch, open size)
KERAS = {
    "keras_mobilenet_v2_op13": ("MobileNetV2", {}, "tf", 224, 13, False, True, False),
    "keras_mobilenet_v2_op9": ("MobileNetV2", {"alpha": 0.5}, "tf", 160, 9, False, False, False),
    "keras_mobilenet_v2_op17_nchw": ("MobileNetV2", {}, "tf", 224, 17, True, True, False),
    "keras_mobilenet_v2_notop_op15_open": ("MobileNetV2", {"include_top": False}, "tf", 224, 15, False, True, True),
    "keras_mobilenet_v2_notop_avg_op15": ("MobileNetV2", {"include_top": False, "pooling": "avg"}, "tf", 224, 15, False, True, False),
    "keras_mobilenet_op11": ("MobileNet", {}, "tf", 224, 11, False, True, False),
    "keras_mobilenet_v3_small_op15": ("MobileNetV3Small", {}, "raw", 224, 15, False, True, False),
    "keras_resnet50_op13": ("ResNet50", {}, "caffe", 224, 13, False, True, False),
    "keras_resnet50_notop_op17": ("ResNet50", {"include_top": False}, "caffe", 50, 17, False, True, False),
    "keras_efficientnet_b0_op15": ("EfficientNetB0", {}, "raw", 224, 15, False, True, False),
    "keras_densenet121_op13": ("DenseNet121", {}, "torch", 224, 13, False, True, False),
    "keras_vgg16_op13": ("VGG16", {"include_top": False}, "caffe", 64, 13, False, True, False),
    "keras_xception_op17": ("Xception", {}, "tf", 299, 17, False, True, False),
    "keras_nasnet_mobile_op15": ("NASNetMobile", {}, "tf", 224, 15, False, True, False),
    "keras_inception_v3_op15": ("InceptionV3", {}, "tf", 299, 15, False, True, False),
}

def calibration_pictures(count, size, preprocess):
    """f32 [count, height, width, 3]: pictures from all over the data set; size is (width, height)."""
    return judging.prepare(judging.sample(judging.FRUITS / "Training", count), preprocess, size)


def seeded_torch_network(library, network, **arguments):
    """The network with seeded weights through which values of normal size flow."""
    import torch

    torch.manual_seed(SEED)
    if library == "timm":
        import timm

        model = timm.create_model(network, pretrained=False, **arguments)
    else:
        import torchvision

        options = {"aux_logits": True, "init_weights": True} if network in ("googlenet", "inception_v3") else {}
        model = torchvision.models.get_model(network, weights=None, **options, **arguments)
        if options:  # the auxiliary classifiers are only there in training
            model.aux_logits = False
            model.aux1 = model.aux2 = model.AuxLogits = None
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for m in norms:
            m.weight.uniform_(0.8, 1.2)
            m.bias.uniform_(-0.3, 0.3)
            m.momentum = None  # the plain mean over the batches
        for name, p in model.named_parameters():
            if name.endswith(("layer_scale", "gamma")):  # ConvNeXt starts with blocks that do next to nothing
                p.uniform_(0.3, 0.7)
        if norms:
            side = 160 if network == "inception_v3" else 128
            x = torch.from_numpy(calibration_pictures(16, (side, side), "torch")).permute(0, 3, 1, 2)
            model.train()
            for batch in x.contiguous().split(8):
                model(batch)
    return model.eval()


def export_torch(name, folder):
    import torch

    library, network, size, opset, exporter, open_batch, open_size = TORCH[name]
    model = seeded_torch_network(library, network)
    x = torch.from_numpy(calibration_pictures(2 if open_batch else 1, (size, size), "torch")).permute(0, 3, 1, 2).contiguous()
    path = folder / f"{name}.onnx"
    names = {"input_names": ["input"], "output_names": ["output"]}
    with torch.inference_mode():
        if exporter == "script":
            axes = ({0: "batch"} if open_batch else {}) | ({2: "height", 3: "width"} if open_size else {})
            torch.onnx.export(model, (x,), path, opset_version=opset, dynamo=False, dynamic_axes={"input": axes}, **names)
        else:
            auto = torch.export.Dim.DYNAMIC
            axes = ({0: auto} if open_batch else {}) | ({2: auto, 3: auto} if open_size else {})
            torch.onnx.export(model, (x,), path, opset_version=opset, dynamo=True, dynamic_shapes=(axes,) if axes else None,
                              external_data=name == "resnet18_op18_dynamo", **names)
    return {"preprocess": "torch", "size": size}


def seeded_keras_network(network, arguments, preprocess, shape):
    """Keras 2's or 3's application with seeded weights through which values of normal size flow."""
    import tensorflow as tf

    tf.keras.backend.clear_session()  # numbers in layer names start anew
    tf.keras.utils.set_random_seed(SEED)
    model = getattr(tf.keras.applications, network)(weights=None, input_shape=shape, **arguments)
    random = np.random.default_rng(SEED)
    for weight in model.trainable_weights:
        if weight.name.split(":")[0].endswith("bias"):  # zeros, which an exporter would leave out
            weight.assign(random.uniform(-0.1, 0.1, weight.shape))
    norms = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.5
        if layer.scale:
            layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
        layer.beta.assign(random.uniform(-0.3, 0.3, layer.beta.shape))
    if norms:
        size = (shape[1] or 160, shape[0] or 160)
        for batch in np.split(calibration_pictures(32, size, preprocess), 4):
            model(batch, training=True)
    return model


def export_keras(name, folder):
    import tensorflow as tf
    import tf2onnx

    network, arguments, preprocess, size, opset, channels_first, open_batch, open_size = KERAS[name]
    shape = (None, None, 3) if open_size else (size, size, 3)
    model = seeded_keras_network(network, arguments, preprocess, shape)
    signature = [tf.TensorSpec([None if open_batch else 1, *shape], tf.float32, name="input")]
    tf2onnx.convert.from_keras(model, signature, opset=opset, inputs_as_nchw=["input"] if channels_first else None,
                               output_path=str(folder / f"{name}.onnx"))
    return {"preprocess": preprocess, "size": size}


def describe(path, entry):
    import onnx

    model = onnx.load(path, load_external_data=False)
    weights = {t.name for t in model.graph.initializer}
    (given,) = (i for i in model.graph.input if i.name not in weights)
    dims = [d.dim_value for d in given.type.tensor_type.shape.dim]
    spatial = dims[1:3] if dims[3] == 3 else dims[2:]
    operators = {}
    for node in model.graph.node:
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return entry | {"file": path.name, "opset": opset, "input": dims, "size_is_open": 0 in spatial,
                    "operators": dict(sorted(operators.items()))}


def main():
    library, folder, only = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    table, export = (TORCH, export_torch) if library == "torch" else (KERAS, export_keras)
    folder.mkdir(parents=True, exist_ok=True)
    for name in only or table:
        path = folder / f"{name}.onnx"
        if path.exists() and not only:
            continue
        try:
            entry = describe(path, export(name, folder))
        except Exception as error:
            path.unlink(missing_ok=True)
            print(f"{name}: not exported: {str(error).splitlines()[:1]}", flush=True)
            continue
        path.with_suffix(".json").write_text(json.dumps(entry, indent=1) + "\n")
        print(f"{name}: opset {entry['opset']}, {entry['operators']}", flush=True)


if __name__ == "__main__":
    main()
