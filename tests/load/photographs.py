"""Simulated photographs of a screen, for what reads the watermark: everything with a seed, so that a run can be repeated."""
import io
import random

from PIL import Image, ImageDraw, ImageFilter

CAMERA = (3000, 2000)
DESK = (92, 84, 76)


def coefficients(source, target):
    """Of Image.PERSPECTIVE: from points of the result (target) to points of the picture (source)."""
    rows = []
    for (x, y), (u, v) in zip(target, source):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    for i in range(8):
        best = max(range(i, 8), key=lambda row: abs(rows[row][i]))
        rows[i], rows[best] = rows[best], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(8):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i])]
    return [row[8] for row in rows]


def from_aside(screen, rng, camera=CAMERA, tilt=0.06, corners=False):
    """The screen as a hand-held camera in front of it sees it: fills most of the picture, no two sides parallel."""
    width, height = screen.size
    scale = min(camera[0] * 0.9 / width, camera[1] * 0.9 / height)
    left, top = (camera[0] - width * scale) / 2, (camera[1] - height * scale) / 2

    def moved(x, y):
        return (left + x * scale + rng.uniform(-tilt, tilt) * width * scale, top + y * scale + rng.uniform(-tilt, tilt) * height * scale)
    target = [moved(0, 0), moved(width, 0), moved(width, height), moved(0, height)]
    source = [(0, 0), (width, 0), (width, height), (0, height)]
    values = coefficients(source, target)
    photo = screen.transform(camera, Image.PERSPECTIVE, values, Image.BICUBIC, fillcolor=DESK)
    return (photo, target) if corners else photo


def blurred(photo, radius):
    return photo.filter(ImageFilter.GaussianBlur(radius))


def noisy(photo, sigma, rng):
    """Noise of a sensor, a little softened as cameras do; a field of it is rolled to a place of its own."""
    bands = []
    for band in photo.split():
        noise = Image.effect_noise((photo.width, photo.height), sigma)
        noise = noise.transform(noise.size, Image.AFFINE, (1, 0, -rng.randrange(200), 0, 1, -rng.randrange(200)), fillcolor=128)
        bands.append(Image.blend(band, noise, 0.5).point(lambda v: max(0, min(255, 2 * v - 128))))
    return Image.merge(photo.mode, bands)


def toned(photo, gamma, gain=1.0):
    return photo.point([min(255, round(255 * gain * (v / 255) ** gamma)) for v in range(256)] * 3)


def jpeg(photo, quality):
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality)
    out.seek(0)
    return Image.open(out).convert("RGB")


def half(photo, rng):
    """One half of the picture is missing."""
    width, height = photo.size
    boxes = [(0, 0, width // 2, height), (width // 2, 0, width, height), (0, 0, width, height // 2), (0, height // 2, width, height)]
    return photo.crop(rng.choice(boxes))


CONDITIONS = {
    "screenshot": lambda screen, rng: screen,
    "perspective": lambda screen, rng: from_aside(screen, rng),
    "jpeg40": lambda screen, rng: jpeg(from_aside(screen, rng), 40),
    "gamma": lambda screen, rng: toned(from_aside(screen, rng), rng.choice([0.55, 1.8]), 0.9),
    "half": lambda screen, rng: half(from_aside(screen, rng), rng),
    "blur": lambda screen, rng: blurred(from_aside(screen, rng), 2.5),
    "noise": lambda screen, rng: noisy(from_aside(screen, rng), 14, rng),
    "all": lambda screen, rng: half(jpeg(noisy(blurred(toned(from_aside(screen, rng), rng.choice([0.7, 1.4]), 0.95), 1.5), 8, rng), 40), rng),
}


def photograph(condition, screen, seed):
    return CONDITIONS[condition](screen, random.Random(f"{condition} {seed}"))


# ---- what is on the screen ----


def dark(screen):
    """The same work in a dark theme."""
    return screen.point([round((255 - v) * 0.86) for v in range(256)] * 3)


def written(size, rng, font):
    """A page of text on white."""
    page = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(page)
    for y in range(24, size[1] - 24, 27):
        draw.text((40 + rng.randrange(30), y), "".join(rng.choice("庁内文書の起案決裁公開個人情報を記入し申請する。 ") for _ in range(size[0] // 19 - 8)), (0, 0, 0), font=font)
    return page
