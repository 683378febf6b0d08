//! Morphology with balls, in millimetres.
