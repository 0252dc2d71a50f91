"""Files that were made to cost much: each is given up in time, and costs nobody else anything."""

import contextlib
import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import Executor, Future
from pathlib import Path

import corpus
import numpy as np
import pytest
from PIL import Image

from ganfp_jax.audit.duplicates import take_prints
from ganfp_jax.data.decode import Refused, Stopped, decode_image, decoded, open_header
from ganfp_jax.data.decoding import budget, kinds, light
from ganfp_jax.data.decoding.light import Metered, TooMuchWork
from ganfp_jax.data.decoding.pool import DECODERS
from ganfp_jax.data.preprocess import decode_and_fit
from ganfp_jax.run import threads

PICTURE = corpus.PICTURE
MUCH_LESS = 15.0  # seconds, than the files here take: machines that test are slow


def endless_jpeg():
    """A small JPEG that says it is large, and goes over its image 20,000 times: minutes."""
    data = bytearray(corpus.saved("JPEG", quality=30, progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 4900, 4900)
    last = data[data.rindex(b"\xff\xda") : -2]
    return bytes(data[:-2]) + bytes(last) * 20_000 + b"\xff\xd9"


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    path = tmp_path_factory.mktemp("endless") / "scans.jpg"
    path.write_bytes(endless_jpeg())
    return path


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.bmp"
    Image.fromarray(PICTURE).save(path)
    return path


def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read(endless, sound):
    begin = time.monotonic()
    for file in (endless, corpus_record(endless.read_bytes())):
        with pytest.raises(Refused, match=r"^takes longer than 0\.5 seconds to decode$"):
            decode_image(file, seconds=0.5)
    assert time.monotonic() - begin < MUCH_LESS
    np.testing.assert_array_equal(decode_image(sound), PICTURE)


class corpus_record:  # noqa: N801 - a function that gives a record
    name = "record.jpg"

    def __init__(self, content):
        self.content = content

    def read_bytes(self):
        return self.content


@pytest.mark.parametrize(
    "content",
    [
        b"P6\n#" + b"x" * 50_000_000 + b"\n16 16\n255\n" + PICTURE.tobytes(),
        corpus.SIGNATURE + corpus.PNG[8:33] + corpus.chunk(b"tEXt", b"a\0b") * 600_000 + corpus.PNG[33:],
        b"GIF89a\x10\0\x10\0\0\0\0" + b"\x21\xfe\x01a\0" * 4_000_000,
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 1078, 40, 7900, 7900, 1, 8, 1, 0, 0, 0, 256, 0)
        + bytes(1024) + b"\1\7" * 8_000_000,
    ],
    ids=["comment of a PPM", "chunks of a PNG", "comments of a GIF", "runs of a BMP"],
)  # fmt: skip
def test_work_is_bounded_wherever_it_lies(content, sound):
    begin = time.monotonic()
    with pytest.raises(Refused, match=r"takes longer|too large for the memory|took more memory"):
        decode_image(corpus_record(content), seconds=0.3)
    assert time.monotonic() - begin < MUCH_LESS
    np.testing.assert_array_equal(decode_image(sound), PICTURE)


def test_headers_that_others_read_are_bounded_as_well(tmp_path):
    path = tmp_path / "chunks.png"
    path.write_bytes(corpus.PNG[:33] + corpus.chunk(b"tEXt", b"a\0b") * 100_000 + corpus.PNG[33:])
    with pytest.raises(Refused, match=r"^its header takes too long to read$"), open_header(path):
        pass


def test_what_is_decoded_at_once():
    assert light.may_be_light(corpus.PNG[: kinds.HEAD], 10**6) and not light.may_be_light(corpus.PNG, 10**9)
    assert light.is_light((5000, 5000), 11) and light.is_light((64, 64), 4000)
    assert not light.is_light((7900, 7900), 1) and not light.is_light((4000, 4000), 100)
    assert not light.is_light((1, 1), 100_000)
    assert light.scans(corpus.saved("JPEG")) == 1 < light.scans(corpus.saved("JPEG", progressive=True)) < 12
    stream = Metered(io.BytesIO(b"abc"), 2)
    assert (stream.read(1), stream.read(), stream.tell()) == (b"a", b"bc", 3)
    with pytest.raises(TooMuchWork):
        stream.read(1)


def test_the_size_of_a_webp_is_known_before_it_is_opened():
    for options in (
        {"lossless": True},
        {"quality": 50},
        {"save_all": True, "append_images": [Image.new("RGB", (40, 30))]},
    ):
        content = corpus.saved("WEBP", corpus.picture(30, 40), **options)
        assert kinds.webp_canvas(content[: kinds.HEAD]) == (40, 30)
    assert kinds.webp_canvas(corpus.PNG[: kinds.HEAD]) is None and kinds.webp_canvas(b"RIFF") is None


def test_memory_is_lent_once():
    memory = budget.Budget(100)
    held, most, lock = [0], [0], threading.Lock()

    def work(amount):
        with memory.lease(amount):
            with lock:
                held[0] += min(amount, 100)
                most[0] = max(most[0], held[0])
            time.sleep(0.002)
            with lock:
                held[0] -= min(amount, 100)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in [30, 60, 500, 10, 100] * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 60 <= most[0] <= 100 and memory._lent == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks there")
def test_a_forked_process_has_all_of_the_memory():
    code = (
        "import os, signal; from ganfp_jax.data.decoding.budget import MEMORY\n"
        "with MEMORY.lease(MEMORY.total):\n"
        "    if child := os.fork(): print(os.waitpid(child, 0)[1])\n"
        "    else:\n"
        "        signal.alarm(15)\n"
        "        with MEMORY.lease(MEMORY.total): os._exit(0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "0\n"


def test_memory_is_held_until_the_picture_is_let_go(sound, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "here.png")
    for file in (sound, tmp_path / "here.png"):
        with decoded(file):
            assert budget.MEMORY._lent >= budget.needed(PICTURE.shape[0] * PICTURE.shape[1], "", 0)
        assert budget.MEMORY._lent == 0


def test_a_large_png_in_the_usual_chunks_is_decoded_at_once(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), dtype=np.uint8)
    data = zlib.compress(np.insert(noise.reshape(1600, -1), 0, 0, axis=1).tobytes(), 0)
    pieces = b"".join(corpus.chunk(b"IDAT", data[place : place + 8192]) for place in range(0, len(data), 8192))
    head = corpus.chunk(b"IHDR", struct.pack(">IIBBBBB", 1600, 1600, 8, 2, 0, 0, 0))
    monkeypatch.setattr(DECODERS, "decode", None)
    content = corpus.SIGNATURE + head + pieces + corpus.chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_image(corpus_record(content)), noise)


def test_nobody_holds_memory_while_asking_for_more(tmp_path, monkeypatch):
    data = corpus.saved("PNG")
    begin = data.index(b"IDAT") - 4
    pixels = data[begin + 8 : begin + 8 + int.from_bytes(data[begin : begin + 4])]
    pieces = (b"IDAT" + piece.tobytes() for piece in np.array_split(np.frombuffer(pixels, np.uint8), 2000))
    chunks = (struct.pack(">I", len(piece) - 4) + piece + struct.pack(">I", zlib.crc32(piece)) for piece in pieces)
    path = tmp_path / "pieces.png"  # opened in the thread, which then finds more pieces than it reads
    path.write_bytes(data[:begin] + b"".join(chunks) + data[begin + 12 + len(pixels) :])
    monkeypatch.setattr(budget.MEMORY, "total", 1000)  # less than any image takes: each has all of it
    answers = []
    thread = threading.Thread(target=lambda: answers.append(decode_image(path)), daemon=True)
    thread.start()
    thread.join(60)
    np.testing.assert_array_equal(answers, [PICTURE])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits it so")
def test_a_process_takes_no_more_memory_than_it_said():
    code = (
        "from ganfp_jax.data.decoding.process import _limit_memory as limit\n"
        "limit(10**9); x = bytearray(8 * 10**8); del x; limit(10**7)\n"
        "try: bytearray(3 * 10**8)\n"
        "except MemoryError: print('limited')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "limited\n"


def test_a_process_that_somebody_ended_is_replaced(sound):
    decode_image(sound)
    for process in DECODERS._idle:
        process._process.kill()
        process._process.wait()
    np.testing.assert_array_equal(decode_image(sound), PICTURE)


def test_a_wish_to_stop_is_heard(endless):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    begin = time.monotonic()
    with pytest.raises(Stopped):
        decode_and_fit([endless] * 40, 16, stop=stop)
    assert time.monotonic() - begin < MUCH_LESS


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_the_search_for_duplicates(endless):
    threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        take_prints([endless] * 40)
    assert time.monotonic() - begin < MUCH_LESS


def test_a_signal_is_heard_that_came_just_before_the_wait():
    heard, futures = [], [Future(), Future()]

    def signal_then_wait(waited_for, timeout):  # as if the interpreter had looked for signals a moment ago
        heard.append(timeout)
        if len(heard) == 3:
            raise KeyboardInterrupt
        return real_wait(waited_for, 0.01)

    class Pool(Executor):
        def submit(self, call, item):
            return call(item)

    real_wait = threads.wait
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threads, "wait", signal_then_wait)
        list(threads.results(Pool(), futures.__getitem__, range(2)))
    assert max(heard) < 1 and all(future.cancelled() for future in futures)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_a_run_and_its_processes(endless):
    code = (
        "from ganfp_jax.data.decode import *; from ganfp_jax.data.decoding.pool import DECODERS\n"
        "from ganfp_jax.data.preprocess import decode_and_fit; import sys, threading, time\n"
        "def tell():\n"
        "    while not DECODERS._busy: time.sleep(0.01)\n"
        "    print([p._process.pid for p in DECODERS._busy][0], flush=True)\n"
        "threading.Thread(target=tell, daemon=True).start()\n"
        "decode_and_fit([sys.argv[1]] * 40, 16)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(endless)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    worker = int(run.stdout.readline())
    run.send_signal(signal.SIGINT)
    begin = time.monotonic()
    assert b"KeyboardInterrupt" in run.communicate()[1]
    assert time.monotonic() - begin < MUCH_LESS
    assert gone(worker)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_processes_do_not_outlive_a_parent_that_was_killed(sound):
    code = (
        "from ganfp_jax.data.decode import decode_image; from ganfp_jax.data.decoding.pool import DECODERS\n"
        "import sys, time\n"
        "decode_image(sys.argv[1]); print(DECODERS._idle[0]._process.pid, flush=True); time.sleep(600)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(sound)], stdout=subprocess.PIPE)
    worker = int(run.stdout.readline())
    run.kill()
    run.communicate()
    assert gone(worker)


def gone(process):
    """Whether a process ends soon."""
    for _ in range(1000):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        with contextlib.suppress(OSError):
            if ") Z " in Path(f"/proc/{process}/stat").read_text():  # dead, and its foster parent has not looked yet
                return True
        time.sleep(0.01)
    return False


def test_the_current_folder_is_not_where_code_comes_from(sound, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('code among the data ran')")
    monkeypatch.chdir(tmp_path)
    DECODERS.end()
    np.testing.assert_array_equal(decode_image("sound.bmp"), PICTURE)
