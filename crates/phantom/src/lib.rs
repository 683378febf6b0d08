//! Seeded synthetic chest CT with known truth.
