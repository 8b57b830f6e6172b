"""pomona weights convert: every layout and naming, judged by what Keras, torchvision and timm wrote and how they order it.

Usage: check_convert.py POMONA
"""

import hashlib
import subprocess

import h5py
import numpy as np

from checking import *

OUT = WORK / "out.safetensors"


def convert(path, *options, network=None):
    pomona("convert", path, "-o", OUT, "--overwrite", *options)
    tensors, metadata, order = read_safetensors(OUT.read_bytes())
    assert order == sorted(order)
    assert metadata["pomona.source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert metadata["pomona.network"] == network, metadata
    return tensors, metadata["pomona.framework"]


# ------------------------------------------------------------------------------------------- the program alone


def stream(path):
    with open(path, "rb") as file:
        done = subprocess.run([HDF5], stdin=file, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b"", (path, done.stderr)
    return read_safetensors(done.stdout)


SMALL = [("first", "kernel"), ("first", "bias"), ("norm", "gamma"), ("norm", "beta"), ("norm", "moving_mean"),
         ("norm", "moving_variance"), ("depth", "kernel"), ("second", "kernel"), ("dense", "kernel"), ("dense", "bias")]


def test_files_by_keras():
    shapes = [(3, 3, 3, 4), (4,), (4,), (4,), (4,), (4,), (3, 3, 4, 1), (1, 1, 4, 2), (2, 5), (5,)]
    wanted = {pair: 1000 * i + np.arange(np.prod(shape), dtype="f4").reshape(shape)
              for i, (pair, shape) in enumerate(zip(SMALL, shapes))}
    unnamed = {"conv2d": "first", "conv2d_1": "second", "batch_normalization": "norm", "depthwise_conv2d": "depth"}
    with h5py.File(GOLDEN / "weights_keras2_split.h5") as file:
        assert "layer_names" not in file.attrs and "layer_names1" in file.attrs
        assert "weight_names0" in file["norm"].attrs or "weight_names" in file["norm"].attrs
    for name in ("keras2.h5", "keras2_split.h5", "keras2_model.h5", "keras2_nested.h5", "keras3.weights.h5",
                 "keras3_unnamed.weights.h5"):
        tensors, metadata, order = stream(GOLDEN / f"weights_{name}")
        assert metadata == {"pomona.layout": name[:6]}
        assert len(tensors) == len(wanted)
        found = {}
        for key in order:
            layer, part = key.split("/")[-2:]
            if name.startswith("keras3"):
                layer = unnamed.get(layer, layer)
                part = [p for own, p in SMALL if own == layer][int(part)]
            found[layer, part.replace("depthwise_kernel", "kernel")] = tensors[key]
        same(found, wanted) if "nested" not in name else same_but_order(found, wanted)
        if name.startswith("keras2") and "nested" not in name:
            assert [tuple(key.split("/")) for key in order] == [
                (layer, "depthwise_kernel" if layer == "depth" and "model" not in name else part)
                for layer, part in SMALL]


def same_but_order(found, wanted):
    """In the model within a model, get_weights gives trainable ones first, so that other numbers are in each."""
    assert found.keys() == wanted.keys()
    assert all(found[key].shape == wanted[key].shape for key in wanted)
    assert sorted(int(a.flat[0]) // 1000 for a in found.values()) == list(range(len(wanted)))


def test_sizes_of_numbers():
    path = WORK / "sizes.h5"
    for dtype, good in (("<f4", True), (">f4", True), ("<f2", True), ("<f8", False)):
        wanted = np.arange(12, dtype=dtype).reshape(3, 4)
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"a"]
            file.create_group("a").attrs["weight_names"] = [b"a/kernel:0", b"a/counter:0"]
            file["a"].create_dataset("a/kernel:0", data=wanted)
            file["a"].create_dataset("a/counter:0", data=np.arange(3))
        if good:
            same(stream(path)[0], {"a/kernel": wanted.astype("<f4")})
        else:
            pomona("convert", path, "-o", OUT, "--overwrite", code=7, says="float32")


# ----------------------------------------------------------------------------------------------------- Keras


def test_keras_layouts():
    network, path = "mobilenet_v2_0.35", WORK / "keras.h5"
    for top in (True, False):
        wanted = keras_values(network, top)
        other = {layer: f"conv2d_{i}" for i, layer in enumerate(by_layer(wanted))}
        write_keras2(path, wanted)
        same(convert(path, network=network)[0], wanted)
        write_keras2(path, wanted, root="model_weights", split=5)
        same(convert(path, network=network)[0], wanted)
        write_keras2(path, wanted, rename=other)  # by order
        same(convert(path, "--network", network, network=network)[0], wanted)
        write_keras3(path, wanted, named=True)
        tensors, framework = convert(path, network=network)
        same(tensors, wanted)
        assert framework == "keras"
        write_keras3(path, wanted, named=False)
        same(convert(path, network=network)[0], wanted)


def test_resnet_by_order():
    """Here the order matters that Keras has: the projection stands between the second and the third convolution."""
    wanted, path = keras_values("resnet50", top=False), WORK / "resnet.weights.h5"
    write_keras3(path, wanted, named=False)
    same(convert(path, network="resnet50")[0], wanted)


def test_old_names_of_parts():
    """Keras 1's: what a tensor is, its place in the layer tells."""
    wanted, path = keras_values("mobilenet_v2_0.35"), WORK / "old.h5"
    letters = {"kernel": "W", "depthwise_kernel": "W", "bias": "b", "moving_mean": "running_mean",
               "moving_variance": "running_std"}
    old = {}
    for name, array in wanted.items():
        layer, part = name.split("/")
        old[f"{layer}/{layer}_{letters.get(part, part)}_1"] = array
    write_keras2(path, old)
    same(convert(path, network="mobilenet_v2_0.35")[0], wanted)


def test_our_own():
    """What we have written is sorted by name: gamma is not the first of a norm, nor a kernel where there is a bias."""
    path = WORK / "own.safetensors"
    for network in ("mobilenet_v2_0.35", "resnet50"):
        for top in (True, False):
            wanted = keras_values(network, top)
            write_keras2(WORK / "own.h5", wanted)
            convert(WORK / "own.h5", network=network)
            OUT.replace(path)
            same(convert(path, network=network)[0], wanted)
            pomona("convert", path, "-o", OUT, "--overwrite", says="with its classifier" if top else f"{network}, ")


def test_keras_names_in_safetensors():
    """Sorted by name, as most programs write them; Keras 2's names end in the number of an output."""
    network, path = "mobilenet_v2_0.35", WORK / "named.safetensors"
    wanted = keras_values(network)
    for end in ("", ":0"):
        for rename in ("depthwise_kernel", "kernel"):
            names = {name: name.replace("depthwise_kernel", rename) + end for name in wanted}
            write_safetensors(path, {names[name]: wanted[name] for name in sorted(wanted)})
            same(convert(path, network=network)[0], wanted)
    other = {layer: f"layer_{i}" for i, layer in enumerate(by_layer(wanted))}
    write_safetensors(path, {f"{other[name.split('/')[0]]}/{name.split('/')[1]}": wanted[name] for name in wanted})
    pomona("convert", path, "-o", OUT, "--overwrite", "--network", network, code=7, says="order says nothing")
    wrong = {name.replace("block_3_expand_BN/beta", "block_3_expand_BN/gamma:1"): wanted[name] for name in wanted}
    write_safetensors(path, wrong)
    pomona("convert", path, "-o", OUT, "--overwrite", "--network", network, code=7, says="block_3_expand_BN/beta")
    same(keras_values(network), wanted)


# --------------------------------------------------------------------------------------------------- PyTorch


def kind(module, parts):
    if "running_mean" in parts:
        return "norm"
    if module.split(".")[0] in ("fc", "classifier", "head", "pre_logits"):
        return "dense"
    return "depthwise" if parts["weight"].shape[1] == 1 else "convolution"


def by_order(tensors, keras):
    """What our file must hold: the k-th layer of a kind is the k-th, the kinds' tensors transposed by numpy."""
    modules, ours, wanted = {}, {}, {}
    for name, array in tensors.items():
        module, part = name.rsplit(".", 1)
        modules.setdefault(module, {})[part] = array
    if "layer1.0.downsample.0" in modules:  # defined last in its block; Keras has it before the third convolution
        def place(module):
            parts = module.split(".")
            if not module.startswith("layer"):
                return (9 if module == "fc" else 0,)
            return int(parts[0][5:]), int(parts[1]), {"1": 1, "2": 2, "e": 3, "3": 4}[parts[2][-1]]
        modules = {module: modules[module] for module in sorted(modules, key=place)}
    for layer, parts in by_layer(keras).items():
        names = dict(parts)
        which = ("norm" if "gamma" in names else "depthwise" if "depthwise_kernel" in names
                 else "convolution" if names["kernel"].ndim == 4 else "dense")
        ours.setdefault(which, []).append(layer)
    for module, parts in modules.items():
        which = kind(module, parts)
        layer = ours[which].pop(0)
        if which == "norm":
            for theirs, part in (("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"),
                                 ("running_var", "moving_variance")):
                wanted[f"{layer}/{part}"] = parts[theirs]
            continue
        weight = parts["weight"]
        if which == "convolution":
            wanted[f"{layer}/kernel"] = weight.transpose(2, 3, 1, 0)
        elif which == "depthwise":
            wanted[f"{layer}/depthwise_kernel"] = weight.transpose(2, 3, 0, 1)
        else:
            wanted[f"{layer}/kernel"] = weight.T if weight.ndim == 2 else weight.transpose(2, 3, 1, 0)
        if "bias" in parts:
            wanted[f"{layer}/bias"] = parts["bias"]
    assert not any(ours.values()), ours
    return wanted


def test_torch_names():
    path = WORK / "torch.safetensors"
    for network, source in (("mobilenet_v2", "torchvision"), ("mobilenet_v2", "timm"), ("resnet50", "torchvision"),
                            ("resnet50", "timm")):
        tensors = values(names_of(source, network))
        # safetensors files are sorted by name, which is not the order of definition
        write_safetensors(path, dict(sorted(tensors.items())))
        got, framework = convert(path, network=network)
        same(got, by_order(tensors, keras_values("mobilenet_v2_0.35" if "mobile" in network else network)))
        assert framework == "torch"


def test_lite():
    """timm's two have the same names: which one it is must be said."""
    path, tensors = WORK / "lite.safetensors", values(names_of("timm", "efficientnet_lite0"))
    write_safetensors(path, dict(sorted(tensors.items())))
    pomona("convert", path, "-o", OUT, "--overwrite", code=7, says="tf_efficientnet_lite0")
    first = convert(path, "--network", "efficientnet_lite0", network="efficientnet_lite0")
    second = convert(path, "--network", "tf_efficientnet_lite0", network="efficientnet_lite0")
    assert (first[1], second[1]) == ("torch", "keras")
    same(first[0], second[0])
    assert np.array_equal(first[0]["block_0_project/kernel"], tensors["blocks.0.0.conv_pw.weight"].transpose(2, 3, 1, 0))
    assert np.array_equal(first[0]["block_9_depthwise/depthwise_kernel"],
                          tensors["blocks.4.1.conv_dw.weight"].transpose(2, 3, 0, 1))
    assert np.array_equal(first[0]["block_15_project_bn/moving_variance"], tensors["blocks.6.0.bn3.running_var"])


def test_other_classes():
    """Trained on 131 kinds of fruit: the features are the network's, the last layer is not."""
    note = "the classifier has 131 classes, not 1000: left out; layers up to "

    def retrain(tensors, layer):
        return {name: array[..., :131] if name in (f"{layer}/kernel", f"{layer}/bias") else
                array[:131] if name.startswith(f"{layer}.") else array for name, array in tensors.items()}

    def check(path, network, wanted, framework, last):
        done = pomona("convert", path, "-o", OUT, "--overwrite", "--network", network, says=f"{note}{last} can be had")
        assert "with its classifier" not in done.stderr and done.stderr.count("\n") == 2
        tensors, metadata, _ = read_safetensors(OUT.read_bytes())
        same(tensors, wanted)
        assert metadata["pomona.framework"] == framework
        path.unlink()
        pomona("convert", OUT, "-o", path)  # and that is a whole file of the network without a classifier
        same(read_safetensors(path.read_bytes())[0], wanted)

    network, path = "mobilenet_v2_0.35", WORK / "fruits"
    fruits, features = retrain(keras_values(network), "predictions"), keras_values(network, top=False)
    write_keras2(path, fruits)
    check(path, network, features, "keras", "out_relu")
    write_keras2(path, fruits, rename={"predictions": "fruits"})
    check(path, network, features, "keras", "out_relu")
    write_keras3(path, fruits)
    check(path, network, features, "keras", "out_relu")
    write_safetensors(path, dict(sorted(fruits.items())))
    check(path, network, features, "keras", "out_relu")
    for network, source, layer, last in (("resnet50", "torchvision", "fc", "conv5_block3_out"),
                                         ("mobilenet_v2", "timm", "classifier", "out_relu")):
        tensors = values(names_of(source, network))
        write_safetensors(path, retrain(tensors, layer))
        whole = by_order(tensors, keras_values("mobilenet_v2_0.35" if "mobile" in network else network))
        check(path, network, {name: a for name, a in whole.items() if "predictions" not in name}, "torch", last)


def test_half_precision():
    path, tensors = WORK / "half.safetensors", values(names_of("torchvision", "mobilenet_v2"))
    keras = keras_values("mobilenet_v2_0.35")
    write_safetensors(path, tensors, "F16")
    rounded = {name: array.astype("<f2").astype("<f4") for name, array in tensors.items() if array.dtype.kind == "f"}
    same(convert(path, network="mobilenet_v2")[0], by_order(rounded, keras))
    write_safetensors(path, tensors, "BF16")
    cut = {name: (array.view("<u4") >> 16 << 16).view("<f4") for name, array in tensors.items() if array.dtype.kind == "f"}
    same(convert(path, network="mobilenet_v2")[0], by_order(cut, keras))
    write_safetensors(path, tensors, "F64")
    pomona("convert", path, "-o", OUT, "--overwrite", "--network", "mobilenet_v2", code=7, says="F64")


# ------------------------------------------------------------------------------------------- what does not fit


def test_refusals():
    network, path = "mobilenet_v2_0.35", WORK / "bad.h5"
    good = keras_values(network)
    OUT.unlink(missing_ok=True)

    def refuse(tensors, says, *options, code=7):
        write_keras2(path, tensors)
        pomona("convert", path, "-o", OUT, *options, code=code, says=says)
        assert not OUT.exists()

    named = ("--network", network)
    refuse({**good, "more/kernel": np.zeros((2, 2), "f4")}, "no place for 1 of its tensors: more/kernel", *named)
    refuse({**good, "more/kernel": np.zeros((2, 2), "f4")}, "no network of the zoo")
    less = {name: array for name, array in good.items() if not name.startswith("block_7_project/")}
    refuse(less, "does not fit", *named)
    refuse({**good, "Conv1/kernel": np.zeros((3, 3, 3, 8), "f4")}, "shape [3, 3, 3, 8]", *named)
    refuse({**good, "predictions/kernel": np.zeros((1280, 131), "f4")}, "would have [131]", *named)
    refuse({**good, "predictions/kernel": np.zeros((1281, 131), "f4")}, "[1280, 1000]", *named)
    refuse(good, "resnet50", "--network", "resnet50")
    refuse(good, 'there is no network "resnet51"; did you mean resnet50?', "--network", "resnet51", code=2)
    write_keras2(path, good)
    pomona("convert", path, "-o", OUT, *named)
    pomona("convert", path, "-o", OUT, *named, code=4, says="--overwrite")
    before = path.read_bytes()
    (WORK / "link.h5").hardlink_to(path)
    for same_file in (path, WORK / "link.h5", WORK / "." / "bad.h5"):
        pomona("convert", path, "-o", same_file, "--overwrite", code=2, says="name another output")
        assert path.read_bytes() == before
    (WORK / "page.h5").write_text("<!DOCTYPE html>\n<html><body>Sign in</body></html>")
    says = f'{WORK / "page.h5"} is neither HDF5 nor safetensors: it begins with "<!DOCTYPE html>.<html><b..."'
    pomona("convert", WORK / "page.h5", "-o", OUT, "--overwrite", code=7, says=says)
    (WORK / "page.h5").write_bytes(b"")
    pomona("convert", WORK / "page.h5", "-o", OUT, "--overwrite", code=7, says='begins with ""')
    pomona("convert", path, "-o", WORK / "no" / "folder", code=4)
    pomona("convert", WORK / "missing.h5", "-o", OUT, "--overwrite", code=3)
    pomona("convert", WORK, "-o", OUT, "--overwrite", code=3)
    (WORK / "zip").write_bytes(b"PK\3\4" + bytes(100))
    pomona("convert", WORK / "zip", "-o", OUT, "--overwrite", code=7, says="model.weights.h5")
    os.environ["POMONA_LIBEXEC"] = str(WORK)
    pomona("convert", path, "-o", OUT, "--overwrite", code=3, says="POMONA_LIBEXEC")
    del os.environ["POMONA_LIBEXEC"]
    assert list(WORK.glob(".*.tmp")) == []


def test_command_line():
    pomona(code=2, says="no command")
    pomona("melt", code=2, says="melt")
    pomona("convert", code=2)
    pomona("convert", "a", "b", "-o", "c", code=2)
    pomona("convert", "a", code=2, says="-o")
    pomona("list", "--overwrite", code=2, says="takes no --overwrite")
    pomona("fetch", code=2)
    pomona("fetch", "resnet51", code=2, says='"resnet51"; did you mean resnet50')
    assert pomona("fetch", "efficientnet_lite0", says="is inside the program").stdout == ""
    pomona("fetch", "resnet50", "--progress", "wild", code=2)
    pomona("fetch", "resnet50", "--base-url", "ftp://127.0.0.1/", code=2, says="https://")
    shown = pomona("list").stdout
    listed = json.loads(pomona("list", "--json").stdout)
    assert len(listed) == 50 == len(shown.splitlines()) - 1
    for entry in listed:
        assert f"{entry['name']} " in shown and entry["fetched"] is False and entry["licence"]
        assert entry["path"] == str(CACHE / f"{entry['name']}.safetensors")
    assert json.loads(pomona("verify", "--json").stdout) == []
    text = pomona("--help").stdout
    assert max(map(len, text.splitlines())) <= 120
    for option in ("base-url", "refetch", "network", "output", "overwrite", "progress", "json", "quiet", "help"):
        assert f"--{option}" in text


run(globals())
