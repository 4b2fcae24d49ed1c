"""The graph of a network from the text of a TorchScript program, which is read and never run.

`text` parses the classes; `following` walks through the calls of one pass with values that are
tensors of known shape, whole numbers, or unknown; `operations`, `layers` and `numbers` say what
each call of torch is, in a `Builder` of the ONNX front end. What is not known fixes all that it
touches; a branch or a loop that depends on what is not known ends the reading: then there is no
graph.
"""
