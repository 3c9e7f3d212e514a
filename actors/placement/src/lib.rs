//! Divides a workload over the members by the scores.

pub mod placer;

pub use placer::Placer;
