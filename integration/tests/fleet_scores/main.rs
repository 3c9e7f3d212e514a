//! Fleets of tenbins that are peers of each other: measured scores, curves and divisions, the
//! ClusterScores that say who is a member, the peers port, and what goes on when peers die.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod board;
mod cluster_scores;
mod crossing;
mod deaths;
mod divisions;
mod estimates;
mod house;
mod late;
mod measured;
mod mep;
mod optimum;
mod originals;
mod reload;

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

const CROSS: &str = "[auth]\ncross = ['system:masters']";
