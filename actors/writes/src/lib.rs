//! Writes that touch several members: plan, dry run, commit on home first, take back.
//!
//! | module | does |
//! |---|---|
//! | [`session`] | what one write may use: connections, targets, the divider |
//! | [`verdict`] | sends one request to one member and judges what came of it |
//! | [`copies`] | reads the members' copies of one object and finds its home |
//! | [`engine`] | the plan and the dry run: the same for all writes |
//! | `excuse` | what a refusal of the dry run means |
//! | `commit` | home, the rest, take back |
//! | [`turns`] | one write at a time of one object |
//! | [`create`], [`replace`], [`patch`], [`scale`], [`delete`] | what each verb sends |
//! | [`answer`] | what the user reads of it |

pub mod answer;
mod commit;
pub mod copies;
pub mod create;
pub mod delete;
pub mod engine;
mod excuse;
mod member_parts;
mod namespace;
pub mod patch;
pub mod replace;
pub mod scale;
pub mod session;
mod single;
mod take_back;
pub mod turns;
pub mod verdict;
