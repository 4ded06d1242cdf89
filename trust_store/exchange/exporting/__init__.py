"""Valid anchors in the formats of other programs: one module per format, all of one shape, listed in ``registry``."""
