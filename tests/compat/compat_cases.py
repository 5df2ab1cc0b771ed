"""The idioms that programs written for Ultralytics use, each with what yoloom promises for it.

A line is an idiom that must give the same with both; `Case(...)` one that does not, and why. To add some: write the
code, run tools/golden_compat.py in the oracle's environment, and then tools/compatibility_page.py.
"""

from __future__ import annotations

from compat_runner import Case, Group, classify, detect, nothing, obb, pose, segment
from program_cases import PROGRAMS


def lines(text: str, *, needs: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """One case a line."""
    return tuple(Case(line.strip(), needs=needs) for line in text.strip().splitlines())


ROW_DICT = "tensors are keys by identity there, an `Array` of one value is a key by its value, as numpy's scalars are"
FROZEN = "results never change; what is assigned there is made anew here: "
COPY = "results are read-only, since threads share them: change a copy, `x = x.clone()`"

BOXES = (
    *lines(
        """
        out = r.boxes.xyxy
        out = r.boxes.xywh
        out = r.boxes.xyxyn
        out = r.boxes.xywhn
        out = r.boxes.conf
        out = r.boxes.cls
        out = r.boxes.data
        out = r.boxes.shape
        out = r.boxes.id
        out = r.boxes.is_track
        out = r.boxes.orig_shape
        out = len(r.boxes)
        out = [b.xyxy[0].tolist() for b in r.boxes]
        out = [int(b.cls) for b in r.boxes]
        out = [float(b.conf) for b in r.boxes]
        out = [r.names[int(b.cls[0])] for b in r.boxes]
        out = [b.xyxy.view(-1).tolist() for b in r.boxes]
        out = [tuple(map(int, b.xyxy[0])) for b in r.boxes]
        x1, y1, x2, y2 = r.boxes[0].xyxy[0]; out = (int(x1), int(y1), int(x2), int(y2))
        out = [f"{r.names[c.item()]} {p:.2f}" for c, p in zip(r.boxes.cls, r.boxes.conf)]
        out = r.boxes[r.boxes.conf > 0.6].data
        out = r.boxes[r.boxes.cls == 0].xyxy
        out = r.boxes[(r.boxes.cls == 0) & (r.boxes.conf > 0.7)].data
        out = r.boxes[[0, 2]].data
        out = r.boxes[-1].data
        out = r.boxes.cpu().xyxy
        out = r.boxes.numpy().xyxy
        out = r.boxes.cpu().numpy().data
        out = r.boxes.cpu().numpy().xywhn
        out = r.boxes.cpu().numpy().xyxy[0].astype(int)
        out = [b.conf[0] for b in r.boxes.cpu().numpy()]
        out = r.boxes.numpy().xyxy.max(axis=0)
        out = r.boxes.numpy().conf.std()
        out = r.boxes.xyxy.cpu().numpy()
        out = r.boxes.xyxy.numpy().astype(int)
        out = r.boxes.xyxy.numpy(force=True)
        out = r.boxes.xyxy.detach().cpu().numpy()
        out = r.boxes.xyxy.tolist()
        out = r.boxes.cls.int().tolist()
        out = r.boxes.cls.int().floor()
        out = r.boxes.cls.long()
        out = r.boxes.xyxy.int()
        out = r.boxes.xyxy.half()
        out = r.boxes.xyxy.double()
        out = r.boxes.cls.bool()
        out = r.boxes.cls.byte()
        out = r.boxes.cls.short()
        out = r.boxes.cls.char()
        out = r.boxes.cls.type_as(r.boxes.cls.long())
        out = r.boxes.conf.type()
        out = r.boxes.cls.int().type()
        out = r.boxes.cls.type("torch.LongTensor")
        out = r.boxes.xyxy.to("cpu")
        out = r.boxes.data.to("cpu", non_blocking=True)
        out = r.boxes.xyxy.size()
        out = r.boxes.xyxy.size(0)
        out = r.boxes.xyxy.size(-1)
        out = tuple(r.boxes.xyxy.size())
        out = r.boxes.xyxy.shape[0]
        out = r.boxes.xyxy.shape
        out = r.boxes.xyxy.numel()
        out = r.boxes.xyxy.nelement()
        out = r.boxes.xyxy.dim()
        out = r.boxes.xyxy.ndim
        out = r.boxes.xyxy.element_size()
        out = r.boxes.xyxy.stride()
        out = r.boxes.xyxy.device.type
        out = r.boxes.xyxy.device.index
        out = str(r.boxes.xyxy.device)
        out = r.boxes.xyxy.is_cuda
        out = r.boxes.xyxy.requires_grad
        out = r.boxes.xyxy.grad
        out = r.boxes.xyxy.is_floating_point()
        out = r.boxes.xyxy.get_device()
        out = r.boxes.xyxy.data
        out = r.boxes.xyxy.cpu().data.numpy()
        out = r.boxes.data.data.cpu().numpy()
        out = [b.cls.data.item() for b in r.boxes]
        out = [b.xyxy.data[0].tolist() for b in r.boxes]
        out = r.boxes.xyxy.contiguous()
        out = r.boxes.xyxy.is_contiguous()
        out = r.boxes.xyxy.cuda()
        out = r.boxes.xyxy.clone()
        """
    ),
    Case("out = len({*r.boxes.cls})", ROW_DICT + ": the classes are counted here, and the boxes there"),
    Case(
        "a = r.boxes.data.numpy(); a[:, 0] += 10; out = r.boxes.data",
        "`.numpy()` is a copy; there it is the tensor's own",
    ),
    Case(
        "from collections import Counter; out = len(Counter(r.boxes.cls))",
        ROW_DICT + ": the classes are counted here, and the boxes there",
    ),
    Case("r.boxes.xyxy[:, 0] += 10; out = r.boxes.xyxy", COPY, "read-only"),
    Case("r.boxes.data[:, 4] = 1; out = r.boxes.conf", COPY, "read-only"),
    Case("out = r.boxes.xyxy.add_(1)", COPY, "read-only"),
    Case("r.boxes.data = r.boxes.data[:1]; out = len(r)", FROZEN + "`r = r[:1]`", "frozen"),
    Case("out = str(r.boxes.xyxy.dtype)", "a numpy dtype, whose text is `float32` and not `torch.float32`"),
    Case("out = isinstance(r.boxes.xyxy, np.ndarray)", "the arrays are numpy arrays, with torch's methods"),
    Case("out = r.boxes.xyxy.astype(int)", "a tensor has no `astype`; here it gives a plain numpy array"),
    Case("out = str(r.boxes.conf)", "the text of a numpy array; `print(x.tolist())` is the same in both"),
    Case("out = round(r.boxes.conf[0], 2)", "a tensor has no `round()`; here it is that of the number"),
)

NUMBERS = (
    *lines(
        """
        out = b.xyxy.max()
        out = b.xyxy.max(0)
        out = b.xyxy.max(dim=0)
        out = b.xyxy.max(1, keepdim=True)
        out = b.xyxy.max(dim=1, keepdim=True).values
        out = b.xyxy.max(axis=0)
        v, i = b.xyxy.max(0); out = (v, i)
        v, i = b.conf.max(0); out = (v.item(), i.item())
        out = b.conf.max(0)[1].item()
        out = b.xyxy.min(dim=0).values
        out = b.xyxy.min(1).indices.tolist()
        out = b.conf[0].max(0)
        out = b.xyxy[:, 0].max(b.xyxy[:, 1])
        out = b.xyxy.amax(dim=(0, 1))
        out = b.xyxy.amin(1)
        out = b.conf.argmax()
        out = b.conf.argmax(dim=0).item()
        out = b.xyxy.argmax(dim=1).tolist()
        out = b.xyxy.argmin(1, keepdim=True)
        out = b.conf.argsort()
        out = b.conf.argsort(descending=True)
        out = b.xyxy.argsort(dim=0, descending=True)
        out = b.cls.argsort(descending=True, stable=True)
        out = b.conf.sort(descending=True)
        v, i = b.conf.sort(descending=True); out = i
        out = b.xyxy.sort(0)[0]
        out = b.xyxy.sort(dim=1, descending=True).values
        out = b.conf.topk(2)
        out = b.conf.topk(2, largest=False)
        out = b.xyxy.topk(2, dim=1).values
        out = b.xyxy.topk(2, 0)[1]
        out = b.conf.kthvalue(2)
        out = b.conf.median()
        out = b.conf.median().item()
        out = b.xyxy.median(dim=0)
        out = b.cls.mode()
        out = b.conf.std()
        out = b.conf.std().item()
        out = b.conf.var()
        out = b.conf.std(unbiased=False)
        out = b.xyxy.std(dim=0)
        out = b.xyxy.var(0, keepdim=True)
        out = b.xyxy.std(dim=0, correction=0)
        out = b.xyxy.mean()
        out = b.xyxy.mean(dim=0)
        out = b.xyxy.mean(1, True)
        out = b.xyxy.mean((0, 1))
        out = b.xyxy.sum(dim=1)
        out = b.xyxy.sum(-1, keepdim=True)
        out = b.xyxy.sum(axis=0)
        out = (b.cls == 0).sum()
        out = (b.cls == 0).sum().item()
        out = b.cls.int().sum()
        out = (b.cls == 0).any()
        out = (b.xyxy > 50).any(dim=1)
        out = (b.xyxy > 5).all(1)
        out = (b.xyxy > 5).all(dim=0, keepdim=True)
        out = b.cls.byte().any()
        out = b.conf.prod()
        out = b.conf.cumsum(0)
        out = (b.cls == 0).cumsum(dim=0)
        out = b.xyxy.cumprod(1)
        out = b.xyxy.norm()
        out = b.xyxy.norm(dim=1)
        out = b.xyxy.norm(p=1, dim=1, keepdim=True)
        out = (b.xywh[0, :2] - b.xywh[1, :2]).norm().item()
        out = b.conf.softmax(0)
        out = b.xyxy.softmax(dim=1)
        out = (b.cls == 0).nonzero()
        out = (b.cls == 0).nonzero().squeeze().tolist()
        out = (b.conf > 0.6).nonzero().flatten().tolist()
        out = (b.cls == 0).nonzero(as_tuple=True)[0]
        out = (b.xyxy > 60).nonzero(as_tuple=True)
        out = (b.xyxy > 60).argwhere()
        out = b.cls.unique()
        out = b.cls.unique(return_counts=True)
        out = b.cls.unique(return_inverse=True, return_counts=True)
        out = b.cls.int().bincount()
        out = b.cls.count_nonzero()
        out = b.conf[:0].sum()
        out = b.conf[:0].mean()
        out = b.xyxy[:0].max(1)
        out = b.xyxy[:0].sum(dim=0)
        out = b.conf[:1].std()
        """
    ),
    Case("out = b.cls.int().mean()", "torch has no mean of whole numbers; here it is that of the numbers"),
)

ARITHMETIC = lines(
    """
    out = b.xyxy * 2
    out = 2 * b.xyxy
    out = b.xyxy / 2
    out = 1 / b.conf
    out = b.xyxy // 7
    out = b.xyxy % 7
    out = b.xyxy ** 2
    out = 2 ** b.cls
    out = b.xyxy - b.xyxy[0]
    out = 100 - b.xyxy
    out = -b.xyxy
    out = abs(b.xyxy - 50)
    out = b.cls.int() * 1.5
    out = b.cls.int() * b.conf
    out = b.cls.long() + b.conf
    out = b.cls.int() / 2
    out = b.cls.long() / b.cls.long()
    out = b.cls.byte() * 300
    out = b.cls.byte() + 300
    out = b.cls.byte() - 1
    out = -b.cls.byte()
    out = b.cls.byte() * 1.5
    out = b.cls.byte() + b.cls.long()
    out = 1 / b.cls.byte()
    out = (b.cls == 0) + (b.conf > 0.7)
    out = (b.cls == 0) * 2
    out = (b.cls == 0) * b.conf
    out = (b.cls == 0) & (b.conf > 0.7)
    out = (b.cls == 0) | (b.conf > 0.7)
    out = ~(b.cls == 0)
    out = (b.cls == 0) ^ True
    out = b.cls.byte() & 1
    out = b.xyxy.half() * b.conf[:, None]
    out = b.conf * b.conf.double().sum()
    out = b.conf.double() * b.conf
    out = b.conf * np.float64(2)
    out = b.xyxy - np.ones(4, np.float32)
    out = b.xyxy - np.ones(4)
    out = b.conf > 0.62
    out = b.cls.byte() < 300
    out = b.cls.byte() == 300
    out = b.xyxy == None
    out = b.cls == "person"
    out = 0 in b.cls
    n = (b.cls == 0).sum(); out = [0] * n
    n = (b.cls == 0).sum(); out = "s" * (n > 1)
    out = [1, 2] * b.cls
    out = [1.0] + b.conf
    out = "".join(f"{(b.cls == c).sum()} {r.names[int(c)]}{'s' * ((b.cls == c).sum() > 1)}, " for c in b.cls.unique())
    out = b.xyxy.mul(2)
    out = b.xyxy.add(1)
    out = b.xyxy.add(b.xyxy, alpha=2)
    out = b.xyxy.sub(1)
    out = b.xyxy.div(2)
    out = b.xyxy.div(7, rounding_mode="floor")
    out = b.xyxy.div(-7, rounding_mode="trunc")
    out = b.cls.int().div(2)
    out = b.cls.int().div(2, rounding_mode="floor")
    out = b.xyxy.pow(2)
    out = b.cls.int().pow(2)
    out = b.xyxy.remainder(7)
    out = b.xyxy.fmod(-7)
    out = (b.xywh[0][:2] - b.xywh[1][:2]).pow(2).sum().sqrt().item()
    out = b.xyxy.sqrt()
    out = b.cls.int().sqrt()
    out = b.cls.byte().sqrt()
    out = b.conf.log()
    out = b.cls.log()
    out = b.conf.exp()
    out = b.conf.sigmoid()
    out = b.conf.tanh()
    out = b.conf.sin()
    out = b.conf.atan2(b.cls)
    out = b.conf.reciprocal()
    out = b.xyxy.abs()
    out = b.xyxy.neg()
    out = b.xyxy.sign()
    out = b.xyxy.floor()
    out = b.xyxy.floor().int()
    out = b.xyxy.ceil()
    out = b.xyxy.trunc()
    out = b.xyxy.round()
    out = b.xyxy.round().int().tolist()
    out = b.conf.round(decimals=1)
    out = b.xyxy.clamp(0, 100)
    out = b.xyxy.clamp(min=20)
    out = b.xyxy.clip(max=70)
    out = b.cls.int().clamp(min=0.5)
    out = b.conf.relu()
    out = b.cls.eq(0)
    out = b.cls.eq(0).sum().item()
    out = b.xyxy.eq(b.xyxy)
    out = b.conf.gt(0.5)
    out = b.conf.ge(0.62).sum().item()
    out = b.conf.lt(0.5)
    out = b.conf.le(0.62)
    out = b.cls.ne(0)
    out = b.cls.logical_not()
    out = b.cls.logical_and(b.conf)
    out = b.conf.isnan().any()
    out = b.conf.minimum(b.cls)
    out = b.conf.maximum(b.cls)
    out = b.conf.where(b.conf > 0.6, 0.0)
    out = b.conf.masked_fill(b.conf > 0.6, 0)
    out = b.xyxy.equal(b.xyxy)
    out = b.xyxy.allclose(b.xyxy + 1e-7)
    out = b.xyxy.matmul(b.xyxy.T)
    out = b.xyxy @ b.xyxy.t()
    out = b.xyxy.mm(b.xyxy.t())
    c = b.xyxy.clone(); c[:, 0] = 0; out = c
    c = b.xyxy.clone(); c += 5; out = c
    c = b.cls.byte(); c *= 300; out = c
    c = b.xyxy.clone(); c[:, 0] -= b.conf; out = c
    c = b.cls.int(); c += 0.5; out = c
    c = b.cls == 0; c |= b.conf > 0.8; out = c
    c = b.xyxy.clone(); c /= c.max(); out = c
    c = b.xyxy.clone(); c.clamp_(20, 60); out = c
    c = b.xyxy.clone(); out = c.mul_(2).add_(1)
    c = b.xyxy.clone(); c[c > 60] = -1; out = c
    """
)

SHAPES = (
    *lines(
        """
        out = b.data.view(-1)
        out = b.data.view(-1, 2)
        out = b.data.view((2, 12))
        out = b.xyxy.view(b.xyxy.shape[0], 2, 2)
        out = b.data.view_as(b.data)
        out = b.xyxy.reshape(-1, 2)
        out = b.xyxy.reshape((2, -1))
        out = b.xyxy.flatten()
        out = b.xyxy.unsqueeze(0).flatten(1)
        out = b.xyxy.unsqueeze(0).flatten(0, 1)
        out = b.xyxy.unsqueeze(-1).shape
        out = b.xyxy.squeeze(0)
        out = b.xyxy[:1].squeeze(0)
        out = b.xyxy[:1].squeeze()
        out = b.xyxy[:1, None].squeeze((0, 1))
        out = b.xyxy.transpose(0, 1)
        out = b.xyxy.transpose(1, 0)
        out = b.xyxy.transpose(-1, -2)
        out = b.xyxy.permute(1, 0)
        out = b.xyxy.permute((1, 0))
        out = b.xyxy.swapaxes(0, 1)
        out = b.xyxy.movedim(0, 1)
        out = b.xyxy.t()
        out = b.xyxy.T
        out = b.xyxy.repeat(2, 1)
        out = b.conf.repeat(3)
        out = b.conf.repeat(2, 2)
        out = b.xyxy.repeat((1, 2))
        out = b.xyxy.repeat(2)
        out = b.conf.repeat_interleave(2)
        out = b.xyxy.repeat_interleave(2, dim=0)
        out = b.conf.tile(2)
        out = b.xyxy.expand(2, 4, 4)
        out = b.conf[:, None].expand(-1, 3)
        out = b.conf[:, None].expand_as(b.xyxy)
        out = b.xyxy.split(2, dim=1)
        out = b.xyxy.split([1, 3])
        x, y, w, h = b.xywh.split(1, 1); out = (x, h)
        out = b.xyxy.chunk(2, 1)
        out = b.conf.chunk(3)
        out = b.xyxy.unbind(0)
        x1, y1, x2, y2 = b.xyxy.unbind(1); out = (x2 - x1) * (y2 - y1)
        out = b.conf.flip(0)
        out = b.xyxy.flip((0, 1))
        out = b.conf.roll(1)
        out = b.conf.roll(1, 0)
        out = b.conf.diff()
        out = b.xyxy.gather(0, b.cls.long()[:, None])
        out = b.xyxy.gather(1, b.xyxy.argmax(1, keepdim=True))
        out = b.xyxy.index_select(0, b.cls.long())
        out = b.xyxy.masked_select(b.xyxy > 60)
        out = b.xyxy.select(1, 2)
        out = b.xyxy.narrow(1, 0, 2)
        out = b.xyxy[b.conf.argsort(descending=True)]
        out = b.xyxy[b.cls == 0]
        out = b.xyxy[(b.cls == 0).byte()]
        out = b.xyxy[b.cls.long()]
        out = b.xyxy[..., 0]
        out = b.xyxy[:, [0, 2]]
        out = b.xyxy[None].shape
        out = b.xyxy[0, 0].item()
        out = [x.item() for x in b.conf]
        out = ["a", "b", "c"][b.cls[1].int()]
        out = f"{b.conf[0]} {b.conf[0]:.2f} {b.cls[0]:.0f} {b.cls.int()[0]}"
        out = "%.2f %d" % (b.conf[0], b.cls[0])
        out = "{:.1f} {}".format(b.conf[0], b.cls[1])
        out = f"{b[0].conf.item():.3f}"
        out = max(b.conf), min(b.conf), sum(b.conf)
        out = sorted(b.conf)[0]
        out = b.cls[0] in [0, 1]
        import math; out = math.sqrt(b.conf[0]), math.floor(b.xyxy[0, 0])
        out = float(b[0].conf), int(b[1].cls), bool(b.cls[0])
        out = [c for c in b.cls.tolist() if c in (0, 2)]
        out = dict(zip(b.cls.int().tolist(), b.conf.tolist()))
        out = np.array([x.cpu().numpy() for x in b.conf])
        out = b.conf[0] > 0.62, b.conf[2] > 0.62, b.conf[2] == 0.62, b.conf[0] > b.conf
        out = list(range(5))[: b.cls.int()[1]]
        """
    ),
    Case("out = b.xyxy.view(-1)", "torch refuses to look at columns so, and asks for `reshape`; here `view` is that"),
    Case("out = b.xyxy[::-1]", "torch refuses steps below 0; here they are numpy's"),
)

NUMPY = (
    *lines(
        """
        out = np.array(b.xyxy)
        out = np.asarray(b.xyxy, dtype=int)
        out = np.stack([x.cpu().numpy() for x in b.xyxy])
        out = np.max(b.numpy().xyxy, axis=0)
        out = np.nonzero(b.numpy().cls == 0)[0]
        out = np.concatenate([b.xyxy, b.conf[:, None]], axis=1)
        out = np.hstack([b.xyxy, b.conf[:, None]])
        out = np.where(b.numpy().cls == 0)[0]
        out = int(np.argmax(b.numpy().conf))
        out = np.sort(b.conf)
        out = np.median(b.conf)
        out = np.ma.masked_invalid(b.conf).max()
        import cv2; out = cv2.boundingRect(b.xyxy.cpu().numpy()[:, :2])
        out = np.sqrt(b.conf)
        out = np.array_equal(b.xyxy, b.xyxy)
        """
    ),
    *(
        Case(
            code,
            "numpy's functions of an `Array` mean what they mean of a numpy array, and give one; of a tensor they "
            "mostly fail",
        )
        for code in (
            "out = np.max(b.xyxy, axis=0)",
            "out = np.std(b.conf)",
            "out = np.repeat(b.conf, 2)",
            "out = np.nonzero(b.cls == 0)[0]",
            "out = np.mean(b.xyxy, axis=0)",
            "out = np.transpose(b.xyxy, (0, 1))",
        )
    ),
)

TORCH = (
    *(
        Case(f"import torch; {code}", needs=("torch",))
        for code in """
        out = torch.cat([b.xyxy, b.conf[:, None], b.cls[:, None]], dim=1)
        out = torch.stack([x.xyxy[0] for x in b])
        out = torch.argmax(b.conf)
        out = torch.any(b.cls == 0)
        out = torch.allclose(b.data[0], b.data[0])
        out = torch.unique(b.cls)
        out = torch.sort(b.conf, descending=True)[1]
        out = torch.where(b.cls == 0)[0]
        out = torch.where(b.cls == 0, b.conf, torch.zeros(4))
        out = torch.sum(b.conf)
        out = torch.round(b.xyxy)
        out = torch.nonzero(b.cls == 0)
        out = torch.max(b.xyxy, 0)
        out = torch.tensor(b.xyxy)
        out = torch.as_tensor(b.xyxy)
        out = torch.from_numpy(b.xyxy.numpy())
        out = b.xyxy - torch.ones(4)
        out = torch.ones(4) - b.xyxy
        out = b.xyxy * torch.tensor(2)
        out = torch.ones(4, 4) @ b.xyxy
        out = b.xyxy / torch.tensor([2.0, 1.0, 2.0, 1.0])
        out = b.conf > torch.tensor(0.6)
        out = torch.ones(4)[b.cls == 0]
        out = torch.arange(4)[b.cls.long()]
        out = b.xyxy[torch.tensor([0, 2])]
        out = b.xyxy[torch.tensor([True, False, True, False])]
        out = b.xyxy.type(torch.int32)
        out = b.xyxy.to(torch.float64)
        out = b.xyxy.to(torch.device("cpu"))
        out = b.xyxy.to(dtype=torch.float16)
        out = b.cls.to(torch.device("cpu"), torch.int64)
        out = str(b.xyxy.device) == str(torch.device("cpu"))
        out = b.xyxy.device == torch.device("cpu")
        out = torch.cdist(b.xywh[:, :2], b.xywh[:, :2])
        out = torch.zeros_like(b.xyxy)
        """.strip().splitlines()
        for code in [code.strip()]
    ),
    *(
        Case(f"from torchvision import ops; {code}", needs=("torch", "torchvision"))
        for code in (
            "out = ops.box_iou(b.xyxy, b.xyxy)",
            "out = ops.nms(b.xyxy, b.conf, 0.5)",
            "out = ops.batched_nms(b.xyxy, b.conf, b.cls, 0.5)",
            "out = ops.box_convert(b.xyxy, 'xyxy', 'cxcywh')",
        )
    ),
    Case(
        "import torch; out = isinstance(b.xyxy, torch.Tensor)",
        "results are numpy arrays, and need no torch: `torch.from_numpy(x.numpy())` is a tensor",
        needs=("torch",),
    ),
    Case(
        "import torch; out = b.xyxy.dtype == torch.float32",
        "a numpy dtype: compare with `np.float32`",
        needs=("torch",),
    ),
)

RESULTS = (
    *lines(
        """
        out = len(r)
        out = r.names
        out = r.names[0]
        out = list(r.names.values())
        out = r.path
        out = r.orig_shape
        out = r.orig_img
        out = r.orig_img.shape
        out = r._keys
        out = [k for k in r._keys if getattr(r, k) is not None]
        out = r.masks, r.keypoints, r.probs, r.obb
        out = r.semantic_mask, r.depth
        out = r.__dict__["boxes"].data
        out = r.verbose()
        out = len(r[:2])
        out = r[0].boxes.data
        out = r[r.boxes.conf > 0.6].boxes.data
        out = [q.boxes.conf.item() for q in r]
        out = r.new().boxes
        out = len(r.new())
        out = r.cpu().boxes.data
        out = r.to("cpu").boxes.data
        out = r.to(device="cpu", non_blocking=True).boxes.data
        out = r.boxes.to("cpu", non_blocking=True).xyxy
        out = r.boxes.cuda(0)
        out = r.numpy().boxes.data
        out = r.numpy()[0].boxes.xyxy
        out = r.summary()
        out = r.summary(normalize=True)
        out = r.summary(decimals=2)
        out = r.to_json()
        import json; out = json.loads(r.to_json())[0]["box"]
        out = r.plot().shape
        out = r.plot(True, 2, None, "Arial.ttf", False).shape
        out = r.plot(True, 2, None, "Arial.ttf", False, None, 5, True, True, True).dtype.name
        out = r.plot(conf=False, labels=False, line_width=1).shape
        out = r.plot(font_size=12, pil=False, img=img).shape
        out = type(r.plot(pil=True)).__name__
        r.save("a.jpg"); out = sorted(os.listdir("."))
        r.save("a.jpg", True, 2); out = sorted(os.listdir("."))
        r.save(filename="a.png", conf=False); out = sorted(os.listdir("."))
        r.save_txt("a.txt"); out = Path("a.txt").read_text()
        r.save_txt("a.txt", save_conf=True); out = Path("a.txt").read_text()
        r.save_crop("crops"); out = sorted(p.parts[1] for p in Path("crops").rglob("*.jpg"))
        out = [q.boxes.cls.tolist() for q in results]
        import copy; out = copy.deepcopy(r).boxes.data
        import pickle; out = pickle.loads(pickle.dumps(r)).boxes.data
        import pickle; out = pickle.loads(pickle.dumps(r.boxes.xyxy))
        import copy; out = copy.deepcopy(r.boxes.xyxy)
        """
    ),
    Case("r.boxes = r.boxes[r.boxes.conf > 0.6]; out = len(r)", FROZEN + "`r = r[r.boxes.conf > 0.6]`", "results\\["),
    Case("r.update(boxes=r.boxes.data[:1]); out = len(r)", FROZEN + "`r = r.replace(boxes=...)`", "replace"),
    Case("r.extra = 5; out = r.extra", FROZEN + "keep what belongs to a result beside it", "frozen"),
    Case("r.names[0] = 'x'; out = r.names", FROZEN + "`names = r.names.copy()`", "copy"),
    Case(
        "r.orig_img[:10, :10] = 0; out = 1",
        "the picture is read-only, since threads share it: `picture = r.orig_img.copy()`",
        "read-only",
    ),
    Case(
        "import cv2; cv2.rectangle(r.orig_img, (0, 0), (9, 9), (0, 0, 255), 2); out = 1",
        "the picture is read-only, which OpenCV says in its own words: `picture = r.orig_img.copy()`",
        "readonly",
    ),
    Case(
        "import yaml; out = yaml.safe_dump(r.names)",
        "the names are a frozen mapping, which PyYAML does not know: `yaml.safe_dump(dict(r.names))`",
        "cannot represent",
    ),
)

NOTHING = lines(
    """
    out = segmented.masks
    out = segmented.boxes.data
    out = "none" if segmented.masks is None else segmented.masks.data[0].sum().item()
    out = len(segmented)
    out = segmented.verbose()
    out = segmented.summary()
    out = segmented.to_json()
    out = segmented.plot().shape
    out = posed.keypoints.data.shape
    out = posed.keypoints.xy
    out = posed.keypoints.conf
    out = len(posed.keypoints)
    out = posed.summary()
    out = detected.boxes.data
    out = len(detected.boxes)
    out = detected.boxes.xywh
    out = detected.boxes.cls.unique()
    out = [b for b in detected.boxes]
    out = detected.verbose()
    out = bool(detected)
    out = detected.masks
    """
)

MASKS = (
    *lines(
        """
        out = masks.data.shape
        out = masks.data
        out = masks.shape
        out = len(masks)
        out = masks.orig_shape
        out = masks.data.any(dim=0).sum().item()
        out = masks.data.sum(dim=(1, 2))
        out = masks.data.sum(dim=(1, 2)).tolist()
        out = masks.data.sum()
        out = masks.data[0] * 300
        out = masks.data[0] * 255
        out = masks.data[0].mul(255).byte().cpu().numpy()
        out = (masks.data[0] * 255).cpu().numpy().astype(np.uint8).max()
        out = masks.data.permute(1, 2, 0).shape
        out = masks.data.squeeze(0).shape
        out = masks.data.float().mean()
        out = masks.data.float().mean(dim=(1, 2))
        out = masks.data.bool().any(0)
        out = masks.data.amax(0)
        out = masks.data.max(0).values
        out = masks.data.max(dim=0)[0].cpu().numpy()
        out = masks.data.cpu().numpy().max(axis=0)
        out = masks.data[0] == 1
        out = ~masks.data[0].bool()
        out = masks.data[masks.data.sum((1, 2)) > 2000].shape
        out = masks.data.numpy()[0].sum()
        out = masks.numpy().data[0].sum()
        out = masks.cpu().numpy().data.shape
        out = masks[0].data.shape
        out = [len(m) for m in masks]
        out = len(masks.xy), len(masks.xyn)
        out = type(masks.xy).__name__
        out = masks.data[0].nonzero()[0]
        out = [m.data.cpu().numpy()[0].sum() for m in masks]
        out = r[0].masks.data.shape
        out = r[[0, 2]].masks.data.sum((1, 2))
        """
    ),
    *(
        Case(f"import torch; import torch.nn.functional as F; {code}", needs=("torch",))
        for code in (
            "out = torch.any(masks.data, dim=0).int().sum().item()",
            "out = F.interpolate(masks.data.unsqueeze(1).float(), (64, 64)).shape",
            "out = torch.where(masks.data[0] > 0, 255, 0).sum()",
        )
    ),
    Case("out = masks.data[0].mean().item()", "torch has no mean of bytes; here it is that of the numbers"),
    Case("r.masks = r.masks[:1]; out = len(r.masks)", FROZEN + "`r = r[:1]`", "results\\["),
)

POSE = lines(
    """
    out = k.data
    out = k.xy
    out = k.xyn
    out = k.conf
    out = k.has_visible
    out = k.shape
    out = len(k)
    out = k.conf.mean(dim=1)
    out = k.conf[0].mean().item()
    out = k.xy[0].cpu().numpy()
    out = k.xy.squeeze(0).shape
    out = k[0].xy.squeeze(0)
    out = k.xy[0][5].tolist()
    out = k.xy[0][0][0].item()
    p, q = k.xy[0][0], k.xy[0][1]; out = float(((p - q) ** 2).sum().sqrt())
    p, q = k.xy[0][0], k.xy[0][1]; out = (p - q).norm().item()
    out = k.data[0].cpu().numpy()[:, :2].astype(int)
    out = [tuple(map(int, p)) for p in k.xy[0]]
    out = k.numpy().xy
    out = k.cpu().numpy().conf.mean(axis=1)
    out = k.data[..., 2].max(1)
    out = (k.conf > 0.5).sum(dim=1)
    out = k.xy[k.conf > 0.5].shape
    out = r[0].keypoints.xyn
    """
)

OBB = lines(
    """
    out = o.data
    out = o.xywhr
    out = o.xyxyxyxy
    out = o.xyxyxyxyn
    out = o.xyxy
    out = o.conf
    out = o.cls
    out = o.id
    out = o.is_track
    out = len(o)
    out = o.xyxyxyxy.view(-1, 8).shape
    out = o.xyxyxyxy.reshape(-1, 4, 2).cpu().numpy().astype(int)
    out = o.xyxyxyxy[0].tolist()
    out = o.xywhr[:, 4].rad2deg()
    out = [r.names[c.item()] for c in o.cls.int()]
    out = o.numpy().xyxyxyxy
    out = r.boxes
    out = o[o.conf > 0.6].xywhr
    out = r.verbose()
    out = r.summary()
    """
)

PROBS = lines(
    """
    out = p.top1
    out = p.top5
    out = p.top1conf
    out = p.top5conf
    out = p.top1conf.item()
    out = p.top5conf.tolist()
    out = p.data
    out = p.data.tolist()
    out = p.shape
    out = r.names.get(p.top1)
    out = p.data.sort(descending=True)
    out = p.data.topk(3)
    out = p.data.argmax().item()
    out = p.data.max(0)
    out = p.numpy().data
    out = p.numpy().top5conf
    out = p.cpu().numpy().top1
    out = int(p.data.argmax())
    out = r.boxes
    out = len(r)
    """
)

GROUPS = {
    "boxes": Group("Boxes", "`r`, the results of one picture with four boxes", detect, BOXES),
    "numbers": Group("Numbers of boxes", "`b`, four boxes", detect, NUMBERS),
    "arithmetic": Group("Arithmetic", "`b`, four boxes, and `r`, their results", detect, ARITHMETIC),
    "shapes": Group("Shapes, parts and order", "`b`, four boxes", detect, SHAPES),
    "numpy": Group("numpy's functions", "`b`, four boxes", detect, NUMPY),
    "torch": Group("torch's functions, in a program that has torch", "`b`, four boxes", detect, TORCH),
    "results": Group(
        "Results", "`r`, the results of one picture with four boxes, and `results = [r]`", detect, RESULTS
    ),
    "nothing": Group(
        "Nothing found", "`detected`, `segmented` and `posed`, results without detections", nothing, NOTHING
    ),
    "masks": Group("Masks", "`r` and its `masks`, four", segment, MASKS),
    "keypoints": Group("Keypoints", "`r` and its keypoints `k`, four times 17", pose, POSE),
    "obb": Group("Oriented boxes", "`r` and its oriented boxes `o`, three", obb, OBB),
    "probs": Group("Classification", "`r` and its `p`, six probabilities", classify, PROBS),
    **PROGRAMS,
}
"""Name → idioms."""
