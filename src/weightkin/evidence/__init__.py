"""Two models in, evidence out: what may be tested, the guard before it, the tests, the verdict.

`sample` fixes which rows are read and `guard` which axes may be tested; `pairs` measures one pair
of axes, `stage` and `units` all blocks, `scan` all pairs of blocks; `blind` and `views` serve
models whose units were renumbered; `ladder` runs the stages in order of cost, and `verdict.decide`
names the verdict. `calibrated` evidence stands apart.
"""
