"""The graph of a network from the nodes that an ONNX file carries: shapes first, then meaning."""
