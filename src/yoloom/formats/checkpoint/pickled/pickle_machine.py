"""A machine for the pickle language that knows no Python: names stay names, and calls are recorded, not made.

It understands the opcodes that torch writes (pickle protocol 2) and refuses the others. Everything it may take is
bounded before it is taken: steps, text, and, since every step adds at most a few small objects, memory.

Opcodes: https://docs.python.org/3/library/pickletools.html, and `pickletools.opcodes` for each one's arguments.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from yoloom.errors import InvalidModel
from yoloom.formats.checkpoint.pickled.allowed_globals import Global, Meaning
from yoloom.formats.checkpoint.pickled.tree import Storage

# Guesses with room: yolov9t takes 140 000 steps, 200 kB of text and 30 names, and its training state twice that.
MAX_STEPS = 400_000
MAX_NAMES = 1_000
MAX_TEXT_BYTES = 4 * 2**20
_MAX_KEY = 2**31
_MAX_LONG_BYTES = 16
_MAX_NAME_BYTES = 256

_UINT8, _UINT16, _UINT32, _INT32, _FLOAT64 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<i", ">d"))

# Opcodes that differ in one thing only: the value they push, the form of their number, the length of their tuple.
_STOP, _LONG, _TEXT, _MARKED_TUPLE = ord("."), 0x8A, ord("X"), ord("t")
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False, ord(")"): ()}
_EMPTY: dict[int, type] = {ord("]"): list, ord("}"): dict}
_NUMBERS = {ord("K"): _UINT8, ord("M"): _UINT16, ord("J"): _INT32, ord("G"): _FLOAT64}
_MEMO_INDEXES = {ord("q"): _UINT8, ord("r"): _UINT32, ord("h"): _UINT8, ord("j"): _UINT32}
_PUTS = (ord("q"), ord("r"))
_TUPLE_LENGTHS = {0x85: 1, 0x86: 2, 0x87: 3}

Step = Callable[["PickleMachine", int], None]
_steps: dict[int, Step] = {}  # filled while the class is defined, and only read afterwards


def step_of(*opcodes: int | str) -> Callable[[Step], Step]:
    """Register the method below as the step of these opcodes: numbers, or the characters that they are."""

    def register(step: Step) -> Step:
        _steps.update((code if isinstance(code, int) else ord(code), step) for code in opcodes)
        return step

    return register


@dataclass(eq=False)
class RecordedCall:
    """A call `function(*args)` that the pickle asks for, and the `state` that its result is to get. It is not made.

    Thread safety: one thread at a time.
    """

    __slots__ = ("args", "function", "state")

    function: Global
    args: tuple[Any, ...]
    state: Any


class PickleMachine:
    """Runs one pickle once.

    Thread safety: one thread at a time.
    """

    _STEPS: ClassVar[dict[int, Step]] = _steps

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
        """Run the pickle to its end.

        Returns:
            Its value: None, bool, int, float, str, list, tuple, dict, Storage, Global or RecordedCall, also within
            itself.

        Raises:
            InvalidModel: the pickle is damaged, too large, or not one of torch's.
            UnsupportedModel: it uses a name that `find_global` does not allow.
        """
        try:
            for _ in range(MAX_STEPS):
                opcode = self._code[self._at]
                self._at += 1
                if opcode == _STOP:
                    value = self._stack.pop()
                    if self._stack or self._marked:
                        raise self._damaged("ends with values left over")
                    return value
                step = _steps.get(opcode)
                if step is None:
                    raise InvalidModel(f"its pickle has the opcode {opcode:#04x}, which torch does not write.")
                step(self, opcode)
        except (IndexError, struct.error) as error:
            # The one place where the end of the code and an empty stack are noticed: the steps do not look first.
            raise InvalidModel(f"its pickle is damaged or cut short at byte {self._at}.") from error
        raise InvalidModel(f"its pickle has more than {MAX_STEPS} steps, too many for a checkpoint.")

    def _damaged(self, what: str) -> InvalidModel:
        return InvalidModel(f"its pickle {what} at byte {self._at}: the file is damaged.")

    # Reading the code

    def _read(self, packed: struct.Struct) -> Any:
        (value,) = packed.unpack_from(self._code, self._at)
        self._at += packed.size
        return value

    def _read_text(self, length: int) -> str:
        self._text_left -= length
        end = self._at + length
        if self._text_left < 0 or end > len(self._code):  # a slice would just be shorter
            raise self._damaged(f"has a text of {length} bytes")
        try:
            text = str(self._code[self._at : end], "utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged("has a text that is not UTF-8") from error
        self._at = end
        return text

    # Values

    @step_of(0x80)
    def _protocol(self, _: int) -> None:
        version = self._read(_UINT8)
        if version != 2:
            raise InvalidModel(f"its pickle has protocol {version}, expected 2: save it with torch.save as it comes.")

    @step_of(*_CONSTANTS, *_NUMBERS, *_EMPTY, _LONG, _TEXT)
    def _value(self, opcode: int) -> None:
        if opcode in _CONSTANTS:
            value: Any = _CONSTANTS[opcode]
        elif opcode in _EMPTY:
            value = _EMPTY[opcode]()
        elif opcode in _NUMBERS:
            value = self._read(_NUMBERS[opcode])
        elif opcode == _TEXT:
            value = self._read_text(self._read(_UINT32))
        else:
            length = self._read(_UINT8)
            end = self._at + length
            # Twice what 64-bit numbers need: numbers of any length would take for ever to print in an error message.
            if length > _MAX_LONG_BYTES or end > len(self._code):
                raise self._damaged(f"has a number of {length} bytes")
            value = int.from_bytes(self._code[self._at : end], "little", signed=True)
            self._at = end
        self._stack.append(value)

    # Containers

    @step_of("(")
    def _mark(self, _: int) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _pop_marked(self) -> list[Any]:
        values, self._stack = self._stack, self._marked.pop()
        return values

    @step_of(_MARKED_TUPLE, *_TUPLE_LENGTHS)
    def _tuple(self, opcode: int) -> None:
        if opcode == _MARKED_TUPLE:
            values = self._pop_marked()
        else:
            values = [self._stack.pop() for _ in range(_TUPLE_LENGTHS[opcode])][::-1]
        self._stack.append(tuple(values))

    @step_of("a", "e")
    def _append(self, opcode: int) -> None:
        values = [self._stack.pop()] if opcode == ord("a") else self._pop_marked()
        target = self._stack[-1]
        if type(target) is not list:
            raise self._damaged("appends to something that is not a list")
        target.extend(values)

    @step_of("s", "u")
    def _set_items(self, opcode: int) -> None:
        pairs = [self._stack.pop(), self._stack.pop()][::-1] if opcode == ord("s") else self._pop_marked()
        target = self._stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise self._damaged("sets items of something that is not a dict")
        for key in pairs[::2]:
            # Only what hashes fast and spreads well: a nested tuple may take for ever, large numbers may all collide.
            if not (type(key) is str or key is None or (isinstance(key, int) and abs(key) < _MAX_KEY)):
                raise self._damaged(f"has a dict key that is a {type(key).__name__}")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    # Memo: values that are used again, by number

    @step_of(*_MEMO_INDEXES)
    def _memo_value(self, opcode: int) -> None:
        index = self._read(_MEMO_INDEXES[opcode])
        if opcode in _PUTS:
            self._memo[index] = self._stack[-1]
        elif index in self._memo:
            self._stack.append(self._memo[index])
        else:
            raise self._damaged(f"refers to value {index} before it has one")

    # Names, calls and storages: recorded, not made

    @step_of("c")
    def _global(self, _: int) -> None:
        self._names_left -= 1
        if self._names_left < 0:
            raise self._damaged("has too many names")
        lines: list[str] = []
        while len(lines) < 2:  # module and name
            length = bytes(self._code[self._at : self._at + _MAX_NAME_BYTES]).find(b"\n")
            if length < 0:
                raise self._damaged("has an endless name")
            lines.append(self._read_text(length))
            self._at += 1
        self._stack.append(self._find_global(lines[0], lines[1]))

    @step_of("R", 0x81)
    def _call(self, _: int) -> None:
        args, function = self._stack.pop(), self._stack.pop()
        if type(function) is not Global or type(args) is not tuple:
            raise self._damaged("calls something that is not a name")
        if function.meaning is Meaning.DICT and not args:
            self._stack.append({})
        elif function.meaning is Meaning.BUILTIN and len(args) == 1 and type(args[0]) is str:
            self._stack.append(self._find_global("builtins", args[0]))
        else:
            self._stack.append(RecordedCall(function, args, None))

    @step_of("b")
    def _build(self, _: int) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is dict:
            return  # the attributes of an OrderedDict: a state dict has its versions there
        if type(target) is not RecordedCall or target.state is not None:
            raise self._damaged("sets a state where none can be set")
        target.state = state

    @step_of("Q")
    def _storage(self, _: int) -> None:
        self._stack[-1] = self._find_storage(self._stack[-1])
