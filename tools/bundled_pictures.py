"""Write the eight pictures that come with the package: scenes that nothing was trained or tuned on.

    python tools/bundled_pictures.py                    # into src/yoloom/assets

The same seeds give the same files, with the same release of OpenCV.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from scenes import scene

SEEDS = (3_000_007, 3_000_041, 3_000_015, 3_000_037, 3_000_048, 3_000_027, 3_000_202, 3_000_203)
QUALITY = 90  # of the JPEG files: 30 to 55 kB each
FOLDER = Path(__file__).parents[1] / "src" / "yoloom" / "assets"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the eight pictures that come with the package.")
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="FOLDER", help="(default: the package)")
    folder = parser.parse_args().output
    for number, seed in enumerate(SEEDS, 1):
        path = folder / f"scene-{number}.jpg"
        cv2.imwrite(str(path), scene(seed).image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
