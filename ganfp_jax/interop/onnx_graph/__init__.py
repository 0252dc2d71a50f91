"""An attribution network with views, vote and calibration as one ONNX graph, which runs without this package.

`vote` writes the graph, `networks` and `regressions` each network's part of it, `layers` the layers that they share,
`builder` the nodes. All need the package onnx.
"""
