"""The house's import directions: main -> jobs -> steps, data -> models, objectives -> nothing of ours."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ganfp_jax"

# Every module belongs to the layer of the longest prefix that fits; it may import its own layer and those below.
LAYERS = {
    "": 5,  # ganfp_jax itself, which only points at the public API
    "main": 5,
    "quickstart": 4,
    "study_job": 4,
    "shipped": 0,
    "study": 4,
    "demo": 4,
    "course_test": 3,
    "evaluation": 3,
    "calibration": 3,
    "attribute_job": 3,
    "evaluation_page": 3,
    "page_pictures": 3,
    "ablation_page": 3,
    "evaluation_job": 3,
    "ablation": 3,
    "robustness": 3,
    "generation": 3,
    "exporting": 3,
    "preparing": 3,
    "interpolation": 3,
    "inspection": 3,
    "attributor": 3,
    "report": 3,
    "training.loop": 3,
    "training": 2,
    "audit.job": 3,
    "audit": 2,
    "baselines.job": 3,
    "baselines": 2,
    "embedding": 2,
    "spectra": 2,
    "interop.importing": 3,
    "interop": 2,
    "weights": 2,
    "metrics": 2,
    "separability": 2,
    "quality.job": 3,
    "quality": 2,
    "data": 1,
    "models": 1,
    "objectives": 1,
    "fingerprints": 1,
    "certainty": 1,
    "verdicts": 1,
    "voting": 1,
    "early_stopping": 1,
    "views": 1,
    "latents": 1,
    "pixels": 1,
    "animation": 1,
    "provenance": 1,
    "command": 0,
    "config_keys": 0,
    "processes": 1,
    "grid": 0,
    "signed": 0,
    "atomic": 0,
    "run_folder": 0,
    "training.longer": 0,
    "variants": 0,
    "compiler": 0,
    "cpu": 0,
    "errors": 0,
    "progress": 0,
    "reading": 0,
    "cache": 0,
    "console": 0,
    "threads": 0,
}
# Pure parts: functions of arrays, which know nothing of configs, files, flags or checkpoints.
PURE = (
    *(
        "models",
        "objectives",
        "fingerprints",
        "voting",
        "early_stopping",
        "views",
        "pixels",
        "quality.swd",
        "quality.ms_ssim",
        "quality.distances",
    ),
    *("training.gan_step", "training.attribution_step", "training.fingerprint_step", "training.state"),
)
PURE_MAY_IMPORT = {"jax", "flax", "optax", "numpy", "jaxtyping", "ganfp_jax"}
ONLY_IN = {
    "orbax": "training.checkpoint",
    "absl": "main",
    "grain": "data.batches",
    "tensorflow_datasets": ("data.tfds_records", "data.tfds_sets"),
    "array_record": "data.tfds_records",
    "tensorboardX": "training.logs",
    "gradio": "demo.page",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> int:
    fitting = [prefix for prefix in LAYERS if module == prefix or (prefix and module.startswith(prefix + "."))]
    assert fitting, f"{module} stands in no layer of this test; put it where it belongs"
    return LAYERS[max(fitting, key=len)]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module):
    for name in imports(MODULES[module]):
        target = name.removeprefix("ganfp_jax").removeprefix(".")
        if name.startswith("ganfp_jax") and target in MODULES and target:
            assert layer(target) <= layer(module), f"{module} imports {target}, which stands above it"


def is_pure(module: str) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in PURE)


@pytest.mark.parametrize("module", [module for module in sorted(MODULES) if is_pure(module)])
def test_pure_parts_know_arrays_only(module):
    import sys

    for name in imports(MODULES[module]):
        top = name.split(".")[0]
        assert top in PURE_MAY_IMPORT or top in sys.stdlib_module_names, f"{module} imports {name}"
        assert top not in {"pathlib", "os", "json", "io"}, f"{module} imports {name}"


@pytest.mark.parametrize(("library", "home"), ONLY_IN.items())
def test_libraries_with_one_home(library, home):
    users = {module for module, path in MODULES.items() if any(n.split(".")[0] == library for n in imports(path))}
    assert users == ({home} if isinstance(home, str) else set(home))


def test_main_answers_before_jax_is_imported():
    heavy = {"jax", "flax", "orbax", "sklearn", "matplotlib", "grain", "numpy"}
    for module in ("main", "run_folder", "errors", "variants", "", "demo", "demo.__main__"):
        top_level = [
            n for n in ast.parse(MODULES[module].read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        names = {alias.name for n in top_level if isinstance(n, ast.Import) for alias in n.names}
        names |= {n.module for n in top_level if isinstance(n, ast.ImportFrom) and n.module}
        assert not heavy & {name.split(".")[0] for name in names}
