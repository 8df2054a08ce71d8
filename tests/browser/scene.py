"""A short recording (tests/load/recording.h) of all that a screen does: text scrolls with repaints inside, a window is dragged, photographs come and go, a
film plays beside text that scrolls. Always the same."""
import random
import struct

import numpy
from PIL import Image, ImageDraw, ImageFont

PART_MS = 1000  # the screen stands still for a moment after each part
STEPS, STEP_MS = 18, 50
PARTS = 5
BLOCK_BYTES = 1 << 17
PAGE = 40, 60, 560, 480  # where it scrolls: x, y, width, height
FILM = 780, 120, 400, 304


class Recorder:
    """A zstd stream of blocks that are not compressed (RFC 8878, 3.1.1)."""

    def __init__(self, path, screen):
        self.file, self.screen = open(path, "wb"), screen
        self.file.write(struct.pack("<IBB", 0xFD2FB528, 0, 0x58))  # no size told; a window of 2 MiB
        self.frame(0, [(0, 0, *screen.size)])

    def frame(self, ms, boxes):
        """These boxes x, y, width, height of the screen have changed."""
        data = struct.pack(">IH", ms, len(boxes))
        for x, y, w, h in boxes:
            data += struct.pack(">HHHH", x, y, w, h) + self.screen.crop((x, y, x + w, y + h)).tobytes("raw", "BGR")
        for at in range(0, len(data), BLOCK_BYTES):
            self.block(data[at:at + BLOCK_BYTES], 0)

    def block(self, data, last):
        self.file.write(struct.pack("<I", len(data) << 3 | last)[:3] + data)

    def close(self):
        self.block(b"", 1)
        self.file.close()


def page(width, height, ink, ground):
    """Lines of Japanese."""
    rng, font = random.Random(7), ImageFont.truetype("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 15)
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    for y in range(6, height - 20, 24):
        draw.text((12, y), "".join(rng.choice("庁内文書の起案決裁公開個人情報を記入し申請する。 ") for _ in range(width // 16 - 3)), ink, font=font)
    return image


def photograph(size, seed):
    """Smooth, with the noise of a sensor."""
    rng = numpy.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), "u1")).resize(size, Image.BICUBIC)
    return Image.fromarray(numpy.clip(numpy.asarray(coarse, "i2") + rng.integers(-6, 7, (size[1], size[0], 3)), 0, 255).astype("u1"))


class Scene:
    def __init__(self, path, size):
        self.screen = Image.new("RGB", size, (58, 110, 165))
        self.text, self.scrolled = page(PAGE[2], 3000, (20, 20, 30), (255, 255, 255)), 0
        self.show_page()
        self.recorder = Recorder(path, self.screen)

    def show_page(self):
        """With something on it that does not scroll along."""
        x, y, w, h = PAGE
        self.screen.paste(self.text.crop((0, self.scrolled, w, self.scrolled + h)), (x, y))
        self.screen.paste((200, self.scrolled * 5 % 256, 40), (x + w - 24, y + self.scrolled * h // 3000, x + w - 8, y + self.scrolled * h // 3000 + 40))

    def scroll(self, step):
        self.scrolled += step
        self.show_page()
        return [PAGE]

    def part(self, number, act):
        for i in range(STEPS):
            self.recorder.frame(number * PART_MS + i * STEP_MS, act(i))

    def drag(self, i, under, window):
        """Over what was there, in one direction and back."""
        x, y = 120 + 37 * min(i, STEPS - i), 90 + 23 * i
        self.screen.paste(under)
        self.screen.paste(window, (x, y))
        return [(x - 37, y - 23, window.width + 74, window.height + 23)]

    def slide(self, i):
        if i % 6:
            return [(0, 0, 1, 1)]  # painted, and nothing has changed
        self.screen.paste(photograph((600, 420), i), (500, 200))
        return [(500, 200, 600, 420)]

    def film(self, i, picture):
        x, y, w, h = FILM
        self.screen.paste(picture.crop((4 * i, 2 * i, 4 * i + w, 2 * i + h)), (x, y))
        return [FILM]


def record(path, size):
    scene = Scene(path, size)
    window, picture = page(420, 260, (240, 240, 240), (30, 30, 46)), photograph((800, 600), 99)
    scene.part(0, lambda i: scene.scroll(24 if i < 11 else -31))
    under = scene.screen.copy()
    scene.part(1, lambda i: scene.drag(i, under, window))
    scene.part(2, scene.slide)
    scene.part(3, lambda i: scene.film(i, picture))
    # the film goes on while the text beside it scrolls, and stops in the middle of both
    scene.part(4, lambda i: scene.film(STEPS + i, picture) + scene.scroll(17))
    scene.recorder.close()
