"""Write the demo detector as ONNX: BatchNorm folded, weights stored in half precision, arithmetic in single.

    python tools/export_demo.py /tmp/demo/checkpoint.pt src/yoloom/assets/demo.onnx

The file has the layout that Ultralytics' detection exports have, so that every reader of those reads it.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from demo_network import Detector, Exported
from scenes import NAMES

OPSET = 17
VERSION = "1.0"


def trained(checkpoint: Path) -> Exported:
    """The averaged network of a checkpoint, folded, its weights rounded to what half precision holds."""
    detector = Detector(len(NAMES))
    detector.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    fold(detector.eval())
    for parameter in detector.parameters():
        parameter.data = parameter.data.half().float()
    network = Exported(detector)
    network.eval()
    return network


def fold(module: nn.Module) -> None:
    """Move every BatchNorm into the convolution before it."""
    for child in module.children():
        fold(child)
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            child[0] = fuse_conv_bn_eval(child[0], child[1])
            child[1] = nn.Identity()


def graph_of(network: Exported) -> onnx.ModelProto:
    """The network's graph with a free batch, height and width."""
    free = {0: "batch", 2: "height", 3: "width"}
    buffer = io.BytesIO()
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 64, 96),),
        buffer,
        input_names=["images"],
        output_names=["output0"],
        dynamic_axes={"images": free, "output0": {0: "batch", 2: "anchors"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    # The tracer loses the one fixed axis of the output.
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4 + len(NAMES)
    return model


def halve(model: onnx.ModelProto) -> None:
    """Store the float32 weights as float16, each followed by a cast back."""
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < 16:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(helper.make_node("Cast", [name + ".half"], [name], name=name + ".cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def describe(model: onnx.ModelProto, date: str) -> None:
    """Add the metadata that Ultralytics' exports carry."""
    facts = {
        "description": "yoloom demo detector, trained on yoloom's own synthetic scenes",
        "author": "yoloom",
        "date": date,
        "version": VERSION,
        "license": "Apache-2.0",
        "docs": "README.md",
        "stride": "32",
        "task": "detect",
        "head": "Detect",
        "batch": "1",
        "imgsz": "[640, 640]",
        "names": repr(dict(enumerate(NAMES))),
        "args": repr(
            {"batch": 1, "dynamic": True, "half": False, "int8": False, "nms": False, "simplify": False, "opset": OPSET}
        ),
        "channels": "3",
        "end2end": "False",
    }
    helper.set_model_props(model, facts)
    model.producer_name, model.producer_version, model.doc_string = "yoloom", VERSION, ""
    for node in model.graph.node:
        node.doc_string = ""


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description="Export yoloom's demo detector to ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--date", default="2026-11-22", help="release date of the weights, for the metadata")
    options = parser.parse_args()
    model = graph_of(trained(options.checkpoint))
    halve(model)
    describe(model, options.date)
    onnx.checker.check_model(model, full_check=True)
    fresh = options.target.with_suffix(".new")
    onnx.save(model, fresh)
    fresh.replace(options.target)
    print(f"{options.target}: {options.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
