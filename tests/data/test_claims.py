"""What files say of their own making: it is read whatever the format, and damage to it costs nothing else."""

import io
import json
import sys
import time
from pathlib import Path

import corpus
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base

from ganfp_jax.data.claims import fields, manifest, tools
from ganfp_jax.data.claims.claim import CAPTURED, MADE, Claim, kind_of, printed, term_of
from ganfp_jax.data.decode import decoded
from ganfp_jax.data.decoding import pool

SIGNED = Path(__file__).parents[1] / "golden" / "c2pa"
WEB_UI = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
XMP = "<x:xmpmeta><rdf:Description {}/></x:xmpmeta>"
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)

# A library in the place of c2pa-python: what it does with a file is written in the test.
LIBRARY = """
import json, os, time
class Context:
    from_dict = classmethod(lambda cls, settings: cls())
    __enter__, __exit__ = lambda self: self, lambda self, *_: None
class Reader(Context):
    def __init__(self, kind, stream, context):
        self.kind = kind
    def json(self):
        {does}
"""


class Encoded:
    """An image file in memory."""

    def __init__(self, content, name="image"):
        self.name, self.content = name, content

    def read_bytes(self):
        return self.content


def claims(content, **options):
    with decoded(Encoded(content), **options) as picture:
        return picture.claims


def saved(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, kind, **options)
    return stream.getvalue()


def with_text(**texts):
    chunks = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    return saved("PNG", pnginfo=chunks)


def with_exif(kind="JPEG", **values):
    exif = Image.Exif()
    for name, value in values.items():
        exif[getattr(Base, name)] = value
    return saved(kind, exif=exif)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"parameters": WEB_UI}, "text 'parameters': Stable Diffusion web UI"),
        ({"parameters": '{"sui_image_params": {}}'}, "text 'parameters': SwarmUI"),
        ({"prompt": '{"3": {"class_type": "KSampler"}}'}, "text 'prompt': ComfyUI"),
        ({"workflow": '{"nodes": []}'}, "text 'workflow': ComfyUI"),
        ({"fooocus_scheme": "fooocus"}, "text 'fooocus_scheme': Fooocus"),
        ({"invokeai_metadata": "{}"}, "text 'invokeai_metadata': InvokeAI"),
        ({"Software": "NovelAI"}, "text 'Software': NovelAI"),
        ({"Description": "a cat --v 6 Job ID: 0a1b2c3d-0000-4000-8000-000000000000"}, "text 'Description': Midjourney"),
    ],
)
def test_text_of_known_tools(texts, expected):
    assert claims(with_text(**texts)) == (Claim(expected, MADE, expected.split(": ")[1]),)


def test_nothing_is_said_of_files_without_a_claim():
    plain = with_text(Software="GIMP 3.0", Comment="Steps: down the stairs", prompt="say when", Description="Job ID: 7")
    for content in (
        plain,
        with_exif(Make="Canon", Model="EOS", Software="Adobe Lightroom 6"),
        corpus.PNG,
        saved("BMP"),
    ):
        assert claims(content) == ()


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_parameters_in_a_comment_of_exif(encoding):
    exif = Image.Exif()
    exif[0x8769] = {Base.UserComment: b"UNICODE\0" + WEB_UI.encode(encoding)}
    for kind in ("JPEG", "WEBP", "PNG"):
        assert [claim.text for claim in claims(saved(kind, exif=exif))] == ["EXIF comment: Stable Diffusion web UI"]


def test_tools_that_name_themselves_in_exif():
    assert claims(with_exif(Software="Adobe Firefly 3"))[0].maker == "Adobe Firefly"
    assert claims(with_exif("TIFF", Software="DALL-E 3"))[0].text == "EXIF Software: DALL-E"
    assert claims(with_exif("WEBP", Model='prompt:{"1": {}}'))[0].text == "EXIF Model: ComfyUI"
    assert claims(with_exif(ImageDescription="a picture of Midjourney")) == ()


@pytest.mark.parametrize(
    ("xmp", "expected"),
    [
        (f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}trainedAlgorithmicMedia"', ("trainedAlgorithmicMedia", MADE)),
        ("Iptc4xmpExt:DigitalSourceType='DIGITALCAPTURE'", ("digitalCapture", CAPTURED)),
        (
            f"/><E:DigitalSourceType>\n {VOCABULARY}algorithmicallyEnhanced</E:DigitalSourceType",
            ("algorithmicallyEnhanced", ""),
        ),
    ],
)
def test_the_source_type_of_iptc(xmp, expected):
    found = claims(saved("JPEG", xmp=XMP.format(xmp).encode()))
    assert found == (Claim(f"XMP DigitalSourceType: {expected[0]}", expected[1]),)


def test_tools_in_xmp_and_source_types_that_nobody_knows():
    xmp = XMP.format('xmp:CreatorTool="Draw Things" Iptc4xmpExt:DigitalSourceType="http://x/newscodes/quantumMedia"')
    assert claims(saved("WEBP", xmp=xmp.encode())) == (Claim("XMP: Draw Things", MADE, "Draw Things"),)
    assert term_of("") == term_of("quantumMedia") == "" and kind_of([]) == ""
    assert kind_of(["digitalCapture", "compositeSynthetic"]) == MADE


def test_text_behind_the_pixels_and_of_images_in_memory():
    png = with_text(parameters=WEB_UI)
    chunk = corpus.chunk(b"tEXt", b"parameters\0" + WEB_UI.encode())
    behind = corpus.PNG[:-12] + chunk + corpus.PNG[-12:]
    assert chunk in png and claims(behind) == claims(png) != ()
    with Image.open(io.BytesIO(png)) as image:
        assert fields.claims_of(image.copy(), b"") == claims(png)


def test_hostile_fields_take_no_time_and_say_nothing():
    begin = time.process_time()
    for xmp in (
        b"DigitalSourceType>http:" * 40_000,
        b"CreatorTool>" * 80_000,
        b"\xff" * 900_000,
        b"digitalsourcetype/",
    ):
        image = Image.fromarray(PICTURE)
        image.info["xmp"] = xmp
        assert fields.claims_of(image, fields.xmp_of(image)) == ()
    image.info |= {"exif": b"Exif\0\0" + b"\xff" * 60_000, "comment": 7, "parameters": b"Steps: 1", 3: "prompt"}
    assert fields.claims_of(image, b"") == ()
    assert tools.named("x" * 10**6) == tools.of_comment(b"Steps: 1" * 100_000) == ""
    assert time.process_time() - begin < 5
    many = {"parameters": WEB_UI, "prompt": '"class_type"', "workflow": '"nodes"', "Dream": "", "sd-metadata": ""}
    many |= {
        "Software": "Fooocus",
        "Title": "NovelAI",
        "Source": "Ideogram",
        "invokeai_graph": "",
        "fooocus_scheme": "",
    }
    assert len(claims(with_text(**many))) == fields.MOST


def test_words_of_strangers_stay_in_one_short_line():
    assert printed("a\nb\x1b[31m\u202ec" + "d" * 100) == "a b [31m c" + "d" * 50 + "..."


@pytest.fixture
def without_library(monkeypatch):
    monkeypatch.setattr(manifest, "reader", lambda: "")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Installs a library that does something with every file, for processes that start now; gives the next decoders."""

    def install(does):
        (tmp_path / "c2pa.py").write_text(LIBRARY.format(does=does))
        about = tmp_path / "c2pa_python-0.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: c2pa-python\nVersion: 0.0\n")
        monkeypatch.syspath_prepend(tmp_path)

    manifest.reader.cache_clear()
    decoders = pool.Pool()
    monkeypatch.setattr("ganfp_jax.data.decode.DECODERS", decoders)
    yield install
    decoders.end()
    manifest.reader.cache_clear()


def store(state="Valid", **changes):
    action = {"action": "c2pa.created", "digitalSourceType": f"{VOCABULARY}trainedAlgorithmicMedia"}
    made = {
        "claim_generator_info": [{"name": "A\nTool", "version": "2"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        "signature_info": {"issuer": "Somebody"},
    }
    fault = [{"code": "signingCredential.untrusted"}, {"code": "assertion.dataHash.mismatch"}]
    manifests = {"manifests": {"a": made | changes}, "active_manifest": "a"}
    return manifests | {"validation_state": state, "validation_status": fault}


def test_a_manifest_without_its_reader_is_told(without_library):
    for name in ("made", "captured"):
        assert claims((SIGNED / f"{name}.jpg").read_bytes()) == (manifest.NOT_INSTALLED,)


def test_a_manifest_is_read_in_a_process(library, tmp_path):
    library(f"return {json.dumps(store())!r}")
    assert manifest.reader() == "c2pa-python 0.0"
    path = tmp_path / "a.jpg"
    path.write_bytes((SIGNED / "made.jpg").read_bytes())
    text = "C2PA manifest: by A Tool 2, trainedAlgorithmicMedia, signed by Somebody, intact"
    for file in (path, Encoded(path.read_bytes())):
        with decoded(file) as picture:
            assert picture.claims == (Claim(text, MADE, "A Tool 2"),) and picture.pixels.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("raise RuntimeError('Verify: unexpected end')", "C2PA manifest, damaged: Verify: unexpected end"),
        ("return '{}'", "C2PA manifest, damaged: 'manifests'"),
        ("os._exit(1)", manifest.UNANSWERED.text),
        ("time.sleep(600)", manifest.UNANSWERED.text),
    ],
    ids=["an error", "another form", "a crash", "for ever"],
)
def test_a_damaged_manifest_costs_one_claim_and_nothing_else(library, does, said):
    library(does)
    content = (SIGNED / "made.jpg").read_bytes()
    with decoded(Encoded(content), seconds=1.0) as picture, Image.open(io.BytesIO(content)) as image:
        assert picture.claims == (Claim(said),)
        np.testing.assert_array_equal(picture.pixels, np.asarray(image))
    assert claims(saved("BMP")) == ()  # the next file has a process that works


def test_what_a_store_says():
    of = manifest._claim
    assert of(store("Trusted")).kind == MADE
    invalid = of(store("Invalid"))
    assert invalid.text.endswith("not valid (assertion.dataHash.mismatch)") and invalid[1:] == ("", "")
    assert of(store(claim_generator_info=None, claim_generator="old/1", signature_info=None, assertions=None)) == (
        "C2PA manifest: by old/1, intact",
        "",
        "old/1",
    )
    edited = store(assertions=[])
    edited["manifests"]["before"] = store()["manifests"]["a"]  # what was edited had been made by a generator
    assert of(edited).kind == MADE


def test_files_that_c2pa_signed():
    if not manifest.reader():
        pytest.skip("the extra `claims` is not installed")
    made = (SIGNED / "made.jpg").read_bytes()
    says = "C2PA manifest: by Example Generator 1.0, trainedAlgorithmicMedia, signed by Test Signer, intact"
    assert claims(made) == (Claim(says, MADE, "Example Generator 1.0"),)
    assert claims((SIGNED / "captured.jpg").read_bytes())[0].kind == CAPTURED
    assert claims(made.replace(b"Example Gen", b"Another Gen"))[0].text.endswith("not valid (claimSignature.mismatch)")
    start = made.index(b"jumdc2pa")
    cut = made[: start + 300] + bytes(100) + made[start + 400 :]
    assert claims(cut)[0].text.startswith("C2PA manifest, damaged: ")
    assert "c2pa" not in sys.modules  # only processes that may be killed have it
