"""Hostile checkpoints, each with the error that it must end in. None of them may run anything, or take much."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from typing import Any

from checkpoint_writer import (
    CONV2D,
    SEQUENTIAL,
    STORAGES,
    CallOf,
    Code,
    Layer,
    Name,
    Persistent,
    archive,
    checkpoint,
    dump,
    network,
    opcodes,
    storage,
    tensor,
    zipped,
)
from yoloom.errors import InvalidModel, ModelError, UnsupportedModel

Case = tuple[bytes, type[ModelError]]

CANARY = "touch ran-by-checkpoint"
_MARK, _STOP = b"(", b"."


def corpus() -> dict[str, dict[str, Case]]:
    """All cases by group and name."""
    groups = (_foreign_names, _calls, _states, _opcodes, _bombs, _endless, _storages, _tensors, _archives)
    return {group.__name__.strip("_"): group() for group in groups}


def _in_network(value: Any) -> bytes:
    """A sound checkpoint with `value` as an attribute of its module."""
    return checkpoint(network(extra=value))


def _raw(code: bytes) -> bytes:
    return archive(b"\x80\x02" + code)


def _all(cases: dict[str, bytes], error: type[ModelError]) -> dict[str, Case]:
    return {name: (data, error) for name, data in cases.items()}


def _foreign_names() -> dict[str, Case]:
    calls = {
        "os.system": (CANARY,),
        "posix.system": (CANARY,),
        "subprocess.Popen": (CANARY,),
        "builtins.eval": ("__import__('os').system('" + CANARY + "')",),
        "builtins.exec": (CANARY,),
        "builtins.compile": (CANARY, "", "exec"),
        "builtins.open": ("ran-by-checkpoint", "w"),
        "builtins.__import__": ("os",),
        "builtins.print": (),
        "builtins.object": (),
        "builtins.type": (),
        "operator.attrgetter": ("system",),
        "functools.partial": (),
        "copyreg._reconstructor": (),
        "copyreg.add_extension": ("os", "system", 1),
        "importlib.import_module": ("antigravity",),
        "runpy.run_path": ("x.py",),
        "pickle.loads": (b"".decode(),),
        "torch.load": ("x.pt",),
        "torch.hub.load": ("a", "b"),
        "torch.jit.load": ("x",),
        "torch.nn.Module": (),
        "torch.nn.modules": (),
        "torch.storage._load_from_bytes": ("",),
        "torch._utils._rebuild_sparse_tensor": (),
        "torchvision.io.read_image": (),
        "webbrowser.open": ("http://127.0.0.1:9",),
        "models.yolo.Model": (),
        "models.common.Conv": (),
        "__main__.Model": (),
        "builtins.getattr.__self__": (),
        "ultralytics.nn.tasks.x y": (),
        "dill._dill._create_function": (),
        "collections.Counter": (),
    }
    named = {f"called {name}": _in_network(CallOf(name, args)) for name, args in calls.items()}
    created = {f"created {name}": _in_network(CallOf(name, args, opcode=b"\x81")) for name, args in calls.items()}
    mentioned = {f"mentioned {name}": _in_network(Name(name)) for name in calls}
    at_top = {f"on top {name}": checkpoint(CallOf(name, args)) for name, args in calls.items()}
    by_dill = {"built-in by dill": _in_network(CallOf("dill._dill._load_type", ("eval",)))}
    return _all({**named, **created, **mentioned, **at_top, **by_dill}, UnsupportedModel)


def _calls() -> dict[str, Case]:
    getattr_ = CallOf("builtins.getattr", (Name("ultralytics.nn.modules.head.Detect"), "__init__"))
    system = opcodes(getattr_) + opcodes((CANARY,)) + b"R"
    return _all(
        {
            "calls what getattr found": _in_network(Code(system)),
            "calls a module": _in_network(Code(opcodes(Layer(CONV2D)) + b")R")),
            "calls a text": _in_network(Code(opcodes("os.system") + b")R")),
            "calls with a list": _in_network(Code(opcodes(Name("builtins.set")) + b"]R")),
            "calls with None": _in_network(Code(opcodes(Name("builtins.set")) + b"NR")),
            "nested calls": _in_network(Code(opcodes(Name("builtins.getattr")) + b")R)R)R)R")),
            "a name without end": _raw(b"c" + b"a" * 100_000),
            "a name that is not UTF-8": _raw(b"c\xff\xfe\n\xff\n)R."),
        },
        InvalidModel,
    )


def _states() -> dict[str, Case]:
    builds: dict[str, Any] = {
        "a list": [],
        "a tuple": (1,),
        "a text": "text",
        "None": None,
        "a number": 7,
        "a name": Name("builtins.getattr"),
        "a storage": storage("0", 2),
        "a module twice": Layer(CONV2D),
    }
    state = {"__setstate__": Name("builtins.getattr"), "__class__": Name("builtins.set")}
    cases = {
        f"state for {name}": _in_network(Code(opcodes(value) + opcodes(state) + b"b")) for name, value in builds.items()
    }
    modules = {
        "module without _parameters": {"_modules": {}},
        "module with listed _modules": {"_modules": [], "_parameters": {}, "_buffers": {}},
        "module with a text as child": {"_modules": {"a": "b"}, "_parameters": {}, "_buffers": {}},
        "module with a number as parameter": {"_modules": {}, "_parameters": {"a": 1}, "_buffers": {}},
        "module with a numbered parameter": {"_modules": {}, "_parameters": {1: tensor("0", (2,))}, "_buffers": {}},
    }
    cases |= {name: _in_network(CallOf(CONV2D, (), value)) for name, value in modules.items()}
    return _all(cases, InvalidModel)


def _opcodes() -> dict[str, Case]:
    from yoloom.formats.checkpoint.pickled.pickle_machine import PickleMachine

    known = {*PickleMachine._STEPS, ord(".")}
    cases = {f"opcode {code:#04x} of none": _raw(bytes([code])) for code in range(256)}
    cases |= {f"opcode {code:#04x} after a mark": _raw(_MARK + bytes([code])) for code in range(256)}
    cases |= {
        f"unknown opcode {code:#04x}": _in_network(Code(bytes([code]) * 12)) for code in range(256) if code not in known
    }
    cases |= {
        "extension code 1": _in_network(Code(b"\x82\x01")),
        "extension code 2": _in_network(Code(b"\x83\x01\x00")),
        "extension code 4": _in_network(Code(b"\x84\x01\x00\x00\x00")),
        "protocol 4": archive(b"\x80\x04N."),
        "protocol 0": archive(b"(lp0\n."),
        "stack global": _in_network(Code(opcodes("os") + opcodes("system") + b"\x93")),
        "instance": _in_network(Code(b"(ios\nsystem\n")),
        "memo that is not there": _in_network(Code(b"h\xff")),
        "memo of nothing": _raw(b"q\x00."),
        "values left over": _raw(b"NN."),
        "a mark left over": _raw(b"(N."),
        "an open mark": _raw(b"N(N."),
        "items for a list": _in_network(Code(b"]NNs")),
        "items for a call": _in_network(Code(opcodes(CallOf("builtins.set")) + b"(NNu")),
        "values for a dict": _in_network(Code(b"}Na")),
        "half an item": _in_network(Code(b"}(NNNu")),
        "a list as key": _in_network(Code(b"}]Ns")),
        "a tuple as key": _in_network(Code(b"})Ns")),
        "a large number as key": _in_network({2**40: 1}),
        "a fraction as key": _in_network({0.5: 1}),
        "a name as key": _in_network(Code(b"}" + opcodes(Name("builtins.set")) + b"Ns")),
        "text of 4 GB": _raw(b"X\xff\xff\xff\xffabc."),
        "text that is not UTF-8": _raw(b"X\x02\x00\x00\x00\xc3\x28."),
        "bytes of 16 EB": _raw(b"\x8e" + b"\xff" * 8 + b"."),
        "number of 255 bytes": _raw(b"\x8a\xff" + b"\x7f" * 255 + b"."),
        "number of 2 GB": _raw(b"\x8b\xff\xff\xff\x7f."),
        "frame of 16 EB": _raw(b"\x95" + b"\xff" * 8 + b"N."),
        "nothing": archive(b""),
        "not a pickle": archive(b"import os; os.system('x')"),
    }
    return _all(cases, InvalidModel)


def _laughs(step: Callable[[int], bytes], first: bytes = b"N") -> bytes:
    """A tuple of values of which each holds the one before it ten times: 60 levels of them."""
    levels = b"".join(step(level) + b"q" + bytes([level + 1]) for level in range(60))
    return b"(" + first + b"q\x00" + levels + b"t"


def _ten(level: int) -> bytes:
    return (b"h" + bytes([level])) * 10


def _bombs() -> dict[str, Case]:
    def pairs(level: int) -> bytes:
        return b"".join(b"K" + bytes([key, ord("h"), level]) for key in range(10))

    shared = opcodes(
        {f"_{index}": None for index in range(20_000)} | {"_modules": {}, "_parameters": {}, "_buffers": {}}
    )
    again = b"q\x01" + opcodes(Name(CONV2D)) + b"q\x02" + b"h\x02)\x81h\x01b" * 20_000
    cases = {
        "tuples of tuples": _in_network(Code(_laughs(lambda level: b"(" + _ten(level) + b"t"))),
        "lists of lists": _in_network(Code(_laughs(lambda level: b"](" + _ten(level) + b"e"))),
        "dicts of dicts": _in_network(Code(_laughs(lambda level: b"}(" + pairs(level) + b"u"))),
        "names of tuples": checkpoint(network(names=Code(_laughs(lambda level: b"(" + _ten(level) + b"t")))),
        "text again and again": _in_network(Code(b"(" + opcodes("ha" * 10_000) + b"q\x00" + b"h\x00" * 50_000 + b"t")),
        "one state for many modules": _in_network(Code(b"(" + shared + again + b"t")),
        "tensor again and again": _in_network(
            Code(b"(" + opcodes(tensor("1", (8,))) + b"q\x00" + b"h\x00" * 90_000 + b"t")
        ),
        "the same tensor anew": _in_network([tensor("1", (8,)) for _ in range(40_000)]),
        "dicts without end": _raw(b"}" * 410_000),
        "lists without end": _raw(b"]" * 410_000),
        "marks without end": _raw(b"(" * 410_000),
        "a list of dicts": _raw(b"](" + b"}" * 390_000 + b"e."),
        "a memo without end": _raw(b"N" + b"".join(b"r" + struct.pack("<I", index) for index in range(410_000)) + b"."),
        "numbers that collide": _in_network({index * (2**61 - 1): 0 for index in range(1, 1000)}),
        "names without end": _raw(b"cultralytics.nn\nx\n" * 50_000 + b"."),
        "wide text": _raw(b"X" + struct.pack("<I", 4_100_000) + b"\xf0\x9f\x98\x80" + b"a" * 4_099_996 + b"0" + b"."),
        "much text": _raw(b"".join(b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000 for _ in range(6)) + b"."),
    }
    return _all(cases, InvalidModel)


def _endless() -> dict[str, Case]:
    module = opcodes(Name(SEQUENTIAL)) + b")\x81q\x00"
    groups = (
        opcodes("_parameters")
        + b"}"
        + opcodes("_buffers")
        + b"}"
        + opcodes("_modules")
        + b"}"
        + opcodes("0")
        + b"h\x00s"
    )
    cases = {
        "a list within itself": _in_network(Code(b"]q\x00h\x00a")),
        "a dict within itself": _in_network(Code(b"}q\x00" + opcodes("a") + b"h\x00s")),
        "a tuple within itself": _in_network(Code(b"]q\x00h\x00\x85a")),
        "a module within itself": _in_network(Code(module + b"}(" + groups + b"ub")),
        "a checkpoint within itself": _raw(b"}q\x00" + opcodes("model") + b"h\x00s."),
        "a namespace within itself": _in_network(
            Code(
                opcodes(Name("ultralytics.utils.IterableSimpleNamespace")) + b")\x81q\x00}" + opcodes("a") + b"h\x00sb"
            )
        ),
        "a size within itself": _in_network(Code(b"]q\x00" + opcodes(Name("torch.Size")) + b"h\x00\x85R" + b"a")),
        "deep tuples": _in_network(Code(b"N" + b"\x85" * 300_000)),
        "deep lists": _in_network(Code(b"]" * 100_000 + b"a" * 99_999)),
        "deep by many short steps": _in_network(Code(b"(N\x85" + b"q\x00h\x00\x85" * 1000 + b"t")),
        "deep on the stack": _in_network(Code(b"((((" * 50_000)),
    }
    return _all(cases, InvalidModel)


def _storages() -> dict[str, Case]:
    def by_id(*persistent_id: Any) -> bytes:
        return _in_network(Persistent(persistent_id))

    float_, half = Name("torch.FloatStorage"), Name("torch.HalfStorage")
    twice = [storage("0", 2), storage("0", 4, "HalfStorage")]
    cases = {
        "storage of another size": by_id("storage", float_, "0", "cpu", 3),
        "storage of no size": by_id("storage", float_, "0", "cpu", 0),
        "storage of negative size": by_id("storage", float_, "0", "cpu", -2),
        "storage of absurd size": by_id("storage", float_, "0", "cpu", 2**62),
        "storage of half a size": by_id("storage", float_, "0", "cpu", 2.0),
        "storage of another type": by_id("storage", half, "0", "cpu", 2),
        "storage with two types": _in_network(twice),
        "storage that is not there": by_id("storage", float_, "99", "cpu", 2),
        "storage outside": by_id("storage", float_, "../../../etc/passwd", "cpu", 2),
        "storage by number": by_id("storage", float_, 0, "cpu", 2),
        "storage without type": by_id("storage", None, "0", "cpu", 2),
        "storage on no device": by_id("storage", float_, "0", float_, 2),
        "storage without size": by_id("storage", float_, "0", "cpu"),
        "storage by another word": by_id("module", float_, "0", "cpu", 2),
        "storage by a text": _in_network(Persistent("storage")),
        "storage of a bomb": by_id(
            "storage", float_, "0", "cpu", Code(_laughs(lambda level: b"(" + _ten(level) + b"t"))
        ),
    }
    return _all(cases, InvalidModel) | _all(
        {
            "storage of a foreign type": by_id("storage", Name("torch.nn.modules.conv.Conv2d"), "0", "cpu", 2),
            "storage without numbers": by_id("storage", Name("torch.ComplexFloatStorage"), "0", "cpu", 2),
        },
        UnsupportedModel,
    )


def _tensors() -> dict[str, Case]:
    rebuild = "torch._utils._rebuild_tensor_v2"
    shapes: dict[str, Any] = {
        "too long": tensor("1", (9,), size=8),
        "too far": tensor("1", (4, 2), stride=(4, 1), size=8),
        "behind its end": tensor("1", (1,), offset=8, size=8),
        "empty and behind its end": tensor("1", (0,), offset=9, size=8),
        "before its start": tensor("1", (1,), offset=-1, size=8),
        "backwards": tensor("1", (8,), stride=(-1,), offset=7, size=8),
        "of negative shape": tensor("1", (-8,), stride=(1,), size=8),
        "of absurd shape": tensor("1", (2**62, 2**62), stride=(0, 0), size=8),
        "of absurd stride": tensor("1", (2, 1), stride=(2**62, 1), size=8),
        "of absurd offset": tensor("1", (1,), offset=2**62, size=8),
        "that repeats one number": tensor("1", (100_000, 100_000), stride=(0, 0), size=8),
        "of 9 dimensions": tensor("1", (1,) * 9, size=8),
        "of 100000 dimensions": tensor("1", (1,) * 100_000, size=8),
        "of more strides": tensor("1", (8,), stride=(1, 1), size=8),
        "of fractions": tensor("1", (8.0,), stride=(1,), size=8),  # type: ignore[arg-type]
        "of truth": tensor("1", (True,), stride=(1,), size=8),
        "without shape": CallOf(rebuild, (storage("1", 8), 0, None, (1,), False, None)),
        "without storage": CallOf(rebuild, (None, 0, (1,), (1,), False, None)),
        "without anything": CallOf(rebuild),
        "in a parameter of nothing": CallOf("torch._utils._rebuild_parameter"),
        "in a parameter of text": CallOf("torch._utils._rebuild_parameter", ("x", True, None)),
        "in a size of nothing": CallOf("torch.Size"),
    }
    return _all({f"tensor {name}": _in_network(value) for name, value in shapes.items()}, InvalidModel)


def _archives() -> dict[str, Case]:
    sound = dump(network())
    whole = archive(sound)
    traversal = ("../data.pkl", "/etc/passwd", "best/../x", "best//x", "best/./x", "best/a\\b", "best/\0")
    cases = {f"member {name!r}": archive(sound, extra={name: b"x"}) for name in traversal}
    bomb = {"0": bytes(50_000_000), "1": STORAGES["1"]}
    cases |= {f"cut at {cut}": whole[:cut] for cut in range(1, len(whole), 61)}
    cases |= {
        "compressed": archive(sound, compression=zipfile.ZIP_DEFLATED),
        "bomb": archive(sound, storages=bomb, compression=zipfile.ZIP_DEFLATED),
        "two folders": archive(sound, extra={"other/data.pkl": sound}),
        "no data.pkl": zipped({"best/data/0": b"1234"}),
        "a document": zipped({"[Content_Types].xml": b"<a/>", "word/document.xml": b"<a/>"}),
        "no members": zipped({}),
        "with a tail": whole + b"tail",
        "with a head": b"head" + whole,
        "twice": whole + whole,
        **_edited(whole),
    }
    others = {
        "big-endian": archive(sound, extra={"best/byteorder": b"big"}),
        "TorchScript": archive(sound, extra={"best/constants.pkl": b"x"}),
        "TorchScript code": archive(sound, extra={"best/code/__torch__.py": b"x"}),
    }
    return _all(cases, InvalidModel) | _all(others, UnsupportedModel)


def _edited(whole: bytes) -> dict[str, bytes]:
    """`whole` with one field of its directory, or of a local header, changed."""
    directory = int.from_bytes(whole[-6:-2], "little")

    def edit(at: int, value: int, size: int) -> bytes:
        return whole[:at] + value.to_bytes(size, "little") + whole[at + size :]

    end = len(whole) - 22
    return {
        "directory elsewhere": edit(end + 16, directory - 1, 4),
        "directory of another size": edit(end + 12, 46, 4),
        "directory of 65535 entries": edit(end + 8, 65535, 2),
        "directory on two disks": edit(end + 4, 1, 2),
        "directory with fewer entries": edit(end + 8, 0x00020002, 4),
        "end with a comment": edit(end + 20, 5, 2),
        "entry without signature": edit(directory, 0, 4),
        "entry encrypted": edit(directory + 8, 1, 2),
        "entry of another method": edit(directory + 10, 99, 2),
        "entry of another checksum": edit(directory + 16, 1, 4),
        "entry of another size": edit(directory + 24, 10, 4),
        "entry that is packed": edit(directory + 20, 10, 4),
        "entry of 4 GB": edit(directory + 20, 2**64 - 1, 8),
        "entry with a long name": edit(directory + 28, 60_000, 2),
        "entry elsewhere": edit(directory + 42, 64, 4),
        "entry behind the end": edit(directory + 42, 2**32 - 1, 4),
        "header without signature": edit(0, 0x04034B51, 4),
        "header of another size": edit(18, 1, 4),
        "header encrypted": edit(6, 1, 2),
        "header of another name": edit(30, ord("B"), 1),
        "header with a long name": edit(26, 60_000, 2),
        "header with a long extra": edit(28, 60_000, 2),
        "damaged pickle": edit(60, 0xFF, 1),
        "overlapping members": _overlapping(whole),
        "two members of one name": whole.replace(b"best/data/1", b"best/data/0"),
    }


def _overlapping(whole: bytes) -> bytes:
    """The second entry of the directory takes the place of the first, as zip bombs of one kernel do."""
    directory = int.from_bytes(whole[-6:-2], "little")
    second = whole.index(b"PK\1\2", directory + 4)
    start = whole[directory + 42 : directory + 46]
    return whole[: second + 42] + start + whole[second + 46 :]
