//! The model of power loss: what must survive, what may, and what never happens.
