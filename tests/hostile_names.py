"""Names that would do something where they are taken for markup, a formula or a template, not for text."""

PORT = 9  # nobody listens there: what is asked for fails, but it is asked for, and that is what the tests look at

CLASSES = [
    f"<img src=https:127.0.0.1:{PORT}>",
    f'"><svg onload=fetch`https:127.0.0.1:{PORT}`>',
    f"![picture](https:127.0.0.1:{PORT}) **bold**",
    "[link](javascript:document.title=1) <script>document.title='taken'<!script>",
    "{{7*7}} {% raw %} ${document.title='taken'}",
    "_under_ $x^{$ $x^2$ &lt;b&gt; `code` #",
    "שלום العربية 写真 'quoted'",
    "long " + 240 * "w",
]
"""What a source may be called (`ganfp_jax.data.names`): no slash is in them, and none is needed."""

FILES = [
    f"<img src=http:\N{FRACTION SLASH}\N{FRACTION SLASH}127.0.0.1:{PORT}> &amp;.png",
    f"<img src=https:127.0.0.1:{PORT} onerror=document.title=1>.png",
    f"' style='background:url(https:127.0.0.1:{PORT})' x='.png",
    "<script>document.title='taken'<!--.png",
    "**bold** [link](javascript:document.title=1) $\\frac{$ {{7*7}} ${7*7}.png",
    "=cmd|' 'A1 \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe.png",
    240 * "n" + ".png",
]
"""File names, which may hold anything but a slash and NUL."""
