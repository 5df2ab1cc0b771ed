"""Idioms about the model, its options, its sources and what it saves. See compat_cases."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from compat_runner import Case, Group, model, picture


def lines(text: str, *, needs: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """One case a line."""
    return tuple(Case(line.strip(), needs=needs) for line in text.strip().splitlines())


def files(library: str) -> dict[str, Any]:
    """The model, and pictures in the folder where the code runs."""
    cv2 = importlib.import_module("cv2")
    Path("folder").mkdir()
    for name in ("a.jpg", "b.png", "folder/c.jpg", "folder/d.jpg"):
        cv2.imwrite(name, picture())
    Path("folder/torn.jpg").write_bytes(Path("a.jpg").read_bytes()[:900])
    Path("list.txt").write_text("a.jpg\nb.png\nfolder/c.jpg\n")
    Path("list.csv").write_text("source\na.jpg\nfolder/d.jpg\n")
    return {**model(library), "kw": {"verbose": False, "imgsz": 64}}


MODEL = (
    *lines(
        """
        out = model.names
        out = model.names[0]
        out = model.task
        out = model.device.type
        out = str(model.device)
        out = model.ckpt_path == PT
        out = os.path.basename(model.model_name)
        out = model.overrides['task']
        out = os.path.basename(model.overrides['model'])
        out = model.overrides.get('conf')
        model.overrides['conf'] = 0.9; out = len(model(img, verbose=False, imgsz=64)[0])
        model.overrides['classes'] = [1]; model.overrides['max_det'] = 2; out = len(model(img, verbose=False, imgsz=64)[0])
        out = model.predictor
        out = YOLO(PT, 'v8').task
        out = YOLO(PT, task='detect').task
        out = YOLO(PT).fuse() is not None
        m = YOLO(PT); m.to('cpu'); out = m.task
        m = YOLO(PT); out = m.cpu() is m
        m = YOLO(PT); out = m.float() is m
        seen = []; model.add_callback('on_predict_start', lambda p: seen.append('start')); model(img, verbose=False, imgsz=64); out = seen
        seen = []; model.add_callback('on_predict_batch_end', lambda p: seen.append(len(p.results))); model([img, img], verbose=False, imgsz=64); out = len(seen) > 0
        seen = []; model.add_callback('on_predict_end', lambda p: seen.append('end')); list(model(img, stream=True, verbose=False, imgsz=64)); out = seen
        model.add_callback('on_train_start', print); out = 1
        model.clear_callback('on_predict_start'); out = 1
        model.reset_callbacks(); out = 1
        out = len(model(img, verbose=False, conf=0.0001, imgsz=64))
        out = len(model.predict(source=img, verbose=False, imgsz=64, stream=False))
        out = model.predict(img, verbose=False, imgsz=64)[0].names
        out = model(img, verbose=False, imgsz=64)[0].orig_shape
        out = sorted(model(img, verbose=False, imgsz=64)[0].speed)
        out = lib.RTDETR is not None
        out = lib.SAM is not None
        out = lib.YOLOWorld is not None
        out = lib.FastSAM is not None
        out = lib.NAS is not None
        out = isinstance(lib.__version__, str)
        """
    ),
    *lines("import torch; m = YOLO(PT).to(torch.device('cpu')); out = m.task", needs=("torch",)),
    Case("out = type(model.info()).__name__", "a line in words: what it counts there, `yoloom info` says"),
    Case("out = len(list(model.parameters())) > 0", "the weights of an open model never change", "swap"),
    Case("out = model.state_dict is None", "the weights of an open model never change", "swap"),
    Case("model.load(PT); out = 1", "`model.swap(path)`, or another handle `YOLO(path)`", "swap"),
    Case("out = model.embed(img)[0].shape", "take embeddings with Ultralytics", "embeddings with Ultralytics"),
    Case("model.save('w.pt'); out = 1", "copy the file, or `model.export()`", "export"),
    Case("out = 'detect' in model.task_map", "the task is `model.task`", r"model\.task"),
    Case("out = model.names.pop(0)", "the names are frozen, since threads share them: change a copy", "frozen"),
)

OPTIONS = (
    *lines(
        """
        out = len(model.predict(img, verbose=False, imgsz=64, half=True))
        out = len(model.predict(img, verbose=False, imgsz=64, device='cpu'))
        out = len(model.predict(img, verbose=False, imgsz=64, mode='predict'))
        out = len(model.predict(img, verbose=False, imgsz=64, task='detect'))
        out = len(model.predict(img, verbose=False, imgsz=64, flipud=0.0, fliplr=0.0, mosaic=0.0))
        out = len(model.predict(img, verbose=False, imgsz=64, epochs=1, batch=4, workers=4, seed=0, deterministic=True))
        out = len(model.predict(img, verbose=False, imgsz=64, int8=False))
        out = len(model.predict(img, verbose=False, imgsz=64, vid_stride=2))
        out = len(model.predict(img, verbose=False, imgsz=64, plots=True, cache=False, optimize=False, simplify=True))
        out = len(model.predict(img, verbose=False, imgsz=64, dynamic=True, opset=12, single_cls=True))
        out = len(model.predict(img, verbose=False, imgsz=64, boxes=True, hide_labels=True, hide_conf=True))
        out = len(model.predict(img, verbose=False, imgsz=64, line_thickness=2))
        out = len(model.predict(img, verbose=False, imgsz=64, tracker='bytetrack.yaml'))
        out = len(model.predict(img, verbose=False, imgsz=64, stream_buffer=False, dnn=False, compile=False))
        out = len(model.predict(img, verbose=False, imgsz=64, classes=[0, 1], agnostic_nms=True, max_det=3, iou=0.4))
        out = len(model.predict(img, verbose=False, imgsz=64, retina_masks=True, save_frames=True))
        out = len(model.predict(img, verbose=False, imgsz=64, augment=False, visualize=False, embed=None))
        out = len(model.predict(img, verbose=False, imgsz=(64, 96)))
        out = len(model.predict(img, verbose=False, imgsz=[96, 64]))
        model.predict(img, verbose=False, imgsz=64, confidence=0.4); out = 1
        model.predict(img, verbose=False, imgsz=64, conf=1.5); out = 1
        model.predict(img, verbose=False, imgsz=64, conf='high'); out = 1
        """
    ),
    Case(
        "out = len(model.predict(img, verbose=False, imgsz=64, device='cpu:0'))",
        "the CPU by its number, as torch writes it",
    ),
    Case("model.predict(img, verbose=False, imgsz=64, augment=True); out = 1", "leave it out", "not available"),
    Case(
        "out = len(model.predict(img, verbose=False, imgsz=64, classes=[99]))",
        "such a class is not there",
        "no class 99",
    ),
    Case("out = len(model.predict(img, verbose=False, iou=None, imgsz=64))", "None asks for the default"),
    Case("out = len(model.predict(img, verbose=False, imgsz='64'))", "a number: `imgsz=64`", "whole number"),
)

SOURCES = (
    *lines(
        """
        out = len(model('a.jpg', **kw))
        out = len(model(Path('a.jpg'), **kw))
        out = len(model(['a.jpg', 'b.png'], **kw))
        out = [os.path.basename(q.path) for q in model('folder', **kw)]
        out = [os.path.basename(q.path) for q in model('folder/*.jpg', **kw)]
        out = [os.path.basename(q.path) for q in model(Path('folder'), stream=True, **kw)]
        out = [os.path.basename(q.path) for q in model('list.txt', **kw)]
        out = [os.path.basename(q.path) for q in model('list.csv', **kw)]
        from PIL import Image; out = len(model(Image.open('a.jpg'), **kw))
        from PIL import Image; out = len(model([Image.open('a.jpg'), Image.open('b.png')], **kw))
        out = [q.orig_shape for q in model([img, img[:64]], **kw)]
        out = model(img[:, :, 0], **kw)[0].orig_shape
        out = [q.path for q in model([img, img], **kw)]
        model('nothing-there.jpg', **kw); out = 1
        model([], **kw); out = 1
        """
    ),
    *lines(
        """
        import torch; out = len(model(torch.zeros(1, 3, 64, 64), verbose=False))
        import torch; out = len(model(torch.rand(2, 3, 64, 96), verbose=False))
        import torch; out = model(torch.rand(3, 64, 96), verbose=False)[0].orig_shape
        import torch; out = [q.orig_img.shape for q in model(torch.rand(2, 3, 64, 96), verbose=False)]
        """,
        needs=("torch",),
    ),
    Case("model('', **kw); out = 1", "an empty text names no file", "empty text"),
    Case("import io; out = len(model(io.BytesIO(open('a.jpg', 'rb').read()), **kw))", "open files are read here"),
    Case("out = len(model(open('a.jpg', 'rb').read(), **kw))", "encoded bytes are read here"),
    Case("import cv2; out = len(model(cv2.imread('no.jpg'), **kw))", "None is no picture", "cv2.imread returns"),
    Case(
        "out = len(model(img.astype(np.float32), **kw))", "numbers of 0..255 as uint8: `img.astype(np.uint8)`", "uint8"
    ),
)

SAVING = (
    *lines(
        """
        model.predict('a.jpg', save=True, save_dir='out', **kw); out = sorted(p.name for p in Path('out').iterdir())
        model.predict('a.jpg', save=True, project=os.path.abspath('P'), name='N', **kw); out = sorted(p.name for p in Path('P/N').iterdir())
        [model.predict(f, save=True, project=os.path.abspath('P'), name='N', **kw) for f in ['a.jpg', 'folder/c.jpg']]; out = sorted(p.name for p in Path('P').rglob('*.jpg'))
        [model.predict(f, save=True, project=os.path.abspath('P'), name='N', **kw) for f in ['a.jpg', 'folder/c.jpg']]; out = sorted(p.name for p in Path('P').iterdir())
        m = YOLO(PT); [YOLO(PT).predict('a.jpg', save=True, project=os.path.abspath('P'), name='N', **kw) for _ in range(2)]; out = sorted(p.name for p in Path('P').iterdir())
        model.predict('a.jpg', save_txt=True, project=os.path.abspath('P'), name='N', **kw); out = Path('P/N').exists()
        out = os.path.basename(model.predict('a.jpg', save=True, project=os.path.abspath('P'), name='N', **kw)[0].save_dir)
        """
    ),
    Case(
        "model.predict('a.jpg', save=True, project='P', name='N', **kw); out = Path('P/N/a.jpg').exists()",
        "a relative `project` is below the folder where the program runs; Ultralytics 8.4.190 puts it below `runs`",
    ),
    Case(
        "[model.predict(img, save=True, save_dir='out', **kw) for _ in range(2)]; out = len(list(Path('out').iterdir()))",
        "pictures of one name are all kept: image0.jpg, image0-2.jpg",
    ),
)

PROGRAMS = {
    "model": Group(
        "The model", "`model`, a small network for 3 classes, its file `PT`, and a picture `img`", model, MODEL
    ),
    "options": Group("Options", "`model` and a picture `img`", model, OPTIONS),
    "sources": Group(
        "Sources",
        "`model`, pictures `a.jpg`, `b.png` and in `folder`, one of them torn, and options `kw`",
        files,
        SOURCES,
    ),
    "saving": Group("Saving", "`model`, pictures `a.jpg` and `folder/c.jpg`, and options `kw`", files, SAVING),
}
"""Name → idioms."""
