//! Hazards in hand-written histories.
