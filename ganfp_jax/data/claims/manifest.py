"""C2PA manifests: a signed record of how a file was made, in a JUMBF box. The library c2pa-python reads them.

It is compiled code that reads strangers' files, so only a process that may be killed calls it (`decoding.process`). It
asks no network, and no list of trusted signers: "intact" says that neither record nor image changed since somebody
signed, not that the signer is who the certificate says.
"""

import functools
import json
import mmap
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ganfp_jax.data.claims.claim import Claim, kind_of, printed, term_of

# The description box of a manifest store: its type and its identifier (C2PA 2.1, section 11.1.4.2).
_STORE = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
MEMORY = 256 << 20  # bytes that the library may take, beside those of the file
_TYPES = {kind: f"image/{kind.lower()}" for kind in ("AVIF", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP")}
_TYPES["MPO"] = _TYPES["JPEG"]
_MOST_MANIFESTS = 50
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}

WHERE = "C2PA manifest"
NOT_INSTALLED = Claim(f"{WHERE}, not read: install ganfp_jax[claims]")
UNANSWERED = Claim(f"{WHERE}, not read: its reader crashed, or took too long")


def is_in(content: bytes | mmap.mmap) -> bool:
    """Whether a file has a store of manifests."""
    return content.find(_STORE) >= 0


@functools.cache
def reader() -> str:
    """Returns what reads manifests, such as "c2pa-python 0.38.1"; "" where it is not installed."""
    from importlib import metadata  # few files are signed, and a process that decodes starts without it

    try:
        return f"c2pa-python {metadata.version('c2pa-python')}"
    except metadata.PackageNotFoundError:
        return ""


def read(stream: BinaryIO, kind: str) -> Claim:
    """Reads the manifests of a file; whatever is wrong with them is in the claim.

    Args:
        stream: the file.
        kind: its format, in Pillow's words.
    """
    if kind not in _TYPES:
        return Claim(f"{WHERE}, not read: none is known in {kind}")
    try:
        import c2pa
    except Exception as error:  # its library was built for another system, say
        return Claim(f"{WHERE}, not read: {printed(error)}")
    try:
        stream.seek(0)
        with (
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Reader(_TYPES[kind], stream, context=context) as found,
        ):
            return _claim(json.loads(found.json()))
    except Exception as error:  # the library's own, and any of a store that has another form
        return Claim(f"{WHERE}, damaged: {printed(error) or type(error).__name__}")


def _claim(store: Mapping[str, Any]) -> Claim:
    manifests = store["manifests"]
    active = manifests[store["active_manifest"]]
    others = [manifest for label, manifest in manifests.items() if label != store["active_manifest"]]
    terms = list(dict.fromkeys(term for one in (active, *others[:_MOST_MANIFESTS]) for term in _terms(one)))
    valid = store.get("validation_state") in ("Valid", "Trusted")
    maker = printed(_maker(active))
    signer = printed((active.get("signature_info") or {}).get("issuer") or "")
    state = "intact" if valid else f"not valid ({printed(_fault(store))})"
    says = ", ".join(
        [f"by {maker or 'a tool without a name'}", *terms, *([f"signed by {signer}"] if signer else []), state]
    )
    return Claim(f"{WHERE}: {says}", kind_of(terms) if valid else "", maker if valid else "")


def _maker(manifest: Mapping[str, Any]) -> str:
    """Returns the tool that made the record, in the words of the newer or the older form of it."""
    for info in manifest.get("claim_generator_info") or ():
        return " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
    return str(manifest.get("claim_generator") or "")


def _terms(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields IPTC's terms for how each action of a manifest made the image."""
    for assertion in manifest.get("assertions") or ():
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion["data"].get("actions") or ():
                if term := term_of(str(action.get("digitalSourceType", ""))):
                    yield term


def _fault(store: Mapping[str, Any]) -> str:
    """Returns the first reason that a store is not valid; that nobody looked for the signer is none."""
    codes = [str(status.get("code", "")) for status in store.get("validation_status") or ()]
    return next((code for code in codes if code != "signingCredential.untrusted"), "no reason given")
