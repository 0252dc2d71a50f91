"""Generators from elsewhere that work on photographs: published upscalers and restorers as sources of images.

`networks` is the table of the networks in installed packages, `ncnn_runner`, `onnx_runner` and `classical` run one,
`tiles` cuts its input as users' programs do, `photographs` and `places` choose what all sources show, and `writing`
makes one source of a labelled image folder.
"""
