"""A machine for the pickle language that knows no Python: names stay names, and calls stay notes of calls.

It understands the opcodes that torch writes (pickle protocol 2) and refuses the others. What it may take is
bounded before it is taken: steps, text, and, since every step adds at most a few small objects, memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.pickled.allowed_globals import Global, Meaning
from yoloom.formats.checkpoint.pickled.storage import Storage

# Guesses with room: yolov9t takes 140 000 steps, 200 kB of text and 30 names, and its training state twice that.
MAX_STEPS = 400_000
MAX_NAMES = 1_000
MAX_TEXT_BYTES = 4 * 2**20
_MAX_KEY = 2**31
_MAX_LONG_BYTES = 16
_MAX_NAME_BYTES = 256

_UINT16, _UINT32, _INT32, _FLOAT64 = (struct.Struct(code) for code in ("<H", "<I", "<i", ">d"))


@dataclass(eq=False)
class Call:
    """A note that the file asks for `function(*args)`, and to give what comes out the `state`. It is not done."""

    __slots__ = ("args", "function", "state")

    function: Global
    args: tuple[Any, ...]
    state: Any


class PickleMachine:
    """Runs one pickle once. One thread."""

    def __init__(
        self,
        code: memoryview,
        find_global: Callable[[str, str], Global],
        find_storage: Callable[[Any], Storage],
    ) -> None:
        self._code = code
        self._at = 0
        self._names_left = MAX_NAMES
        self._text_left = MAX_TEXT_BYTES
        self._find_global = find_global
        self._find_storage = find_storage
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value: None, bool, int, float, str, list, tuple, dict, Storage, Global or Call, also within itself.

        Raises InvalidModel for a pickle that is damaged, too large, or not one of torch's.
        """
        try:
            for _ in range(MAX_STEPS):
                opcode = self._code[self._at]
                self._at += 1
                if opcode == _STOP:
                    return self._result()
                step = self._STEPS.get(opcode)
                if step is None:
                    raise InvalidModel(f"its pickle has the opcode {opcode:#04x}, which torch does not write.")
                step(self)
        except (IndexError, struct.error) as error:
            raise InvalidModel(f"its pickle is damaged or cut short at byte {self._at}.") from error
        raise InvalidModel(f"its pickle has more than {MAX_STEPS} steps, too many for a checkpoint.")

    def _result(self) -> Any:
        value = self._stack.pop()
        if self._stack or self._marked:
            raise self._damaged("ends with values left over")
        return value

    def _damaged(self, what: str) -> InvalidModel:
        return InvalidModel(f"its pickle {what} at byte {self._at}: the file is damaged.")

    # Reading the code

    def _take(self, packed: struct.Struct) -> Any:
        (value,) = packed.unpack_from(self._code, self._at)
        self._at += packed.size
        return value

    def _byte(self) -> int:
        self._at += 1
        return self._code[self._at - 1]

    def _text(self, length: int) -> str:
        self._text_left -= length
        end = self._at + length
        if self._text_left < 0 or end > len(self._code):
            raise self._damaged(f"has a text of {length} bytes")
        try:
            text = str(self._code[self._at : end], "utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged("has a text that is not UTF-8") from error
        self._at = end
        return text

    def _line(self) -> str:
        length = bytes(self._code[self._at : self._at + _MAX_NAME_BYTES]).find(b"\n")
        if length < 0:
            raise self._damaged("has an endless name")
        line = self._text(length)
        self._at += 1
        return line

    # Values

    def _protocol(self) -> None:
        version = self._byte()
        if version != 2:
            raise InvalidModel(f"its pickle has protocol {version}, expected 2: save it with torch.save as it comes.")

    def _none(self) -> None:
        self._stack.append(None)

    def _true(self) -> None:
        self._stack.append(True)

    def _false(self) -> None:
        self._stack.append(False)

    def _int1(self) -> None:
        self._stack.append(self._byte())

    def _int2(self) -> None:
        self._stack.append(self._take(_UINT16))

    def _int4(self) -> None:
        self._stack.append(self._take(_INT32))

    def _long(self) -> None:
        length = self._byte()
        end = self._at + length
        if length > _MAX_LONG_BYTES or end > len(self._code):
            raise self._damaged(f"has a number of {length} bytes")
        self._stack.append(int.from_bytes(self._code[self._at : end], "little", signed=True))
        self._at = end

    def _float(self) -> None:
        self._stack.append(self._take(_FLOAT64))

    def _unicode(self) -> None:
        self._stack.append(self._text(self._take(_UINT32)))

    # Containers

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _pop_marked(self) -> list[Any]:
        values, self._stack = self._stack, self._marked.pop()
        return values

    def _empty_tuple(self) -> None:
        self._stack.append(())

    def _tuple(self) -> None:
        values = tuple(self._pop_marked())
        self._stack.append(values)

    def _tuple1(self) -> None:
        self._stack[-1] = (self._stack[-1],)

    def _tuple2(self) -> None:
        last = self._stack.pop()
        self._stack[-1] = (self._stack[-1], last)

    def _tuple3(self) -> None:
        last, middle = self._stack.pop(), self._stack.pop()
        self._stack[-1] = (self._stack[-1], middle, last)

    def _empty_list(self) -> None:
        self._stack.append([])

    def _append(self) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _appends(self) -> None:
        self._extend(self._pop_marked())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise self._damaged("appends to something that is no list")
        target.extend(values)

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _set_items(self) -> None:
        self._update(self._pop_marked())

    def _update(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise self._damaged("sets items of something that is no dict")
        for key in pairs[::2]:
            self._check_key(key)
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _check_key(self, key: Any) -> None:
        # Only what hashes fast and spreads well: a nested tuple may take for ever, large numbers may all collide.
        if not (type(key) is str or key is None or (isinstance(key, int) and abs(key) < _MAX_KEY)):
            raise self._damaged(f"has a dict key that is a {type(key).__name__}")

    # Memo

    def _put1(self) -> None:
        self._memo[self._byte()] = self._stack[-1]

    def _put4(self) -> None:
        self._memo[self._take(_UINT32)] = self._stack[-1]

    def _get1(self) -> None:
        self._get(self._byte())

    def _get4(self) -> None:
        self._get(self._take(_UINT32))

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise self._damaged(f"refers to value {index}, which it did not have yet,")
        self._stack.append(self._memo[index])

    # Names, calls and storages: noted, not done

    def _global(self) -> None:
        self._names_left -= 1
        if self._names_left < 0:
            raise self._damaged("has too many names")
        module, name = self._line(), self._line()
        self._stack.append(self._find_global(module, name))

    def _call(self) -> None:
        args, function = self._stack.pop(), self._stack.pop()
        if type(function) is not Global or type(args) is not tuple:
            raise self._damaged("calls something that is no name")
        self._stack.append(self._called(function, args))

    def _called(self, function: Global, args: tuple[Any, ...]) -> Any:
        if function.meaning is Meaning.DICT and not args:
            return {}
        if function.meaning is Meaning.BUILTIN and len(args) == 1 and type(args[0]) is str:
            return self._find_global("builtins", args[0])
        return Call(function, args, None)

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is dict:
            return  # the attributes of an OrderedDict: a state dict has its versions there
        if type(target) is not Call or target.state is not None:
            raise self._damaged("gives a state to something that takes none")
        target.state = state

    def _storage(self) -> None:
        self._stack[-1] = self._find_storage(self._stack[-1])

    _STEPS: ClassVar[dict[int, Callable[[PickleMachine], None]]] = {
        0x80: _protocol,
        ord("N"): _none,
        0x88: _true,
        0x89: _false,
        ord("K"): _int1,
        ord("M"): _int2,
        ord("J"): _int4,
        0x8A: _long,
        ord("G"): _float,
        ord("X"): _unicode,
        ord("("): _mark,
        ord(")"): _empty_tuple,
        ord("t"): _tuple,
        0x85: _tuple1,
        0x86: _tuple2,
        0x87: _tuple3,
        ord("]"): _empty_list,
        ord("a"): _append,
        ord("e"): _appends,
        ord("}"): _empty_dict,
        ord("s"): _set_item,
        ord("u"): _set_items,
        ord("q"): _put1,
        ord("r"): _put4,
        ord("h"): _get1,
        ord("j"): _get4,
        ord("c"): _global,
        ord("R"): _call,
        0x81: _call,
        ord("b"): _build,
        ord("Q"): _storage,
    }


_STOP = ord(".")
