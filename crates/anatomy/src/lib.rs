//! Input gate, lung mask, zones and involvement.
