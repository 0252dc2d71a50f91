"""Pictures of single images: where they are written, whatever the images are called."""

import numpy as np

from ganfp_jax.inspection import write_pictures

PICTURE = np.zeros((4, 4, 3), np.uint8)


def sample(name, value):
    picture = np.full((4, 4, 3), value, np.uint8)
    return {"name": name, "fingerprint": picture, "responses": [picture, picture]}


def test_pictures_lie_inside_their_folder_and_none_replaces_another(tmp_path):
    names = ["real/a.png", "real/a.jpg", "../b.png", "../../b.png", "/b.png", f"real/{'x' * 240}.png"]
    folder = tmp_path / "out" / "pictures"
    classes = ("real", "G" * 250)
    write_pictures(folder, classes, [sample(name, i) for i, name in enumerate(names)], [PICTURE, PICTURE])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(folder in path.parents for path in files)
    assert len(files) == len(classes) + len(names) * (1 + len(classes))
    assert (folder / "real" / "a_image_fingerprint_responding_to_model_fingerprint_real.png") in files
    assert (folder / "model_fingerprint_real.png") in files
