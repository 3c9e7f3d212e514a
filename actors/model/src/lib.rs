//! Pure decisions of tenbin: functions of their arguments, without clock, randomness or I/O.
//!
//! | module | decides |
//! |---|---|
//! | [`ids`] | what a member may be called |
//! | [`config`] | what an operator may write in `config.toml` |
//! | [`identity`] | who a caller is in each member |
//! | [`request`] | what a request asks for, and where it goes |
//! | [`list`] | how the members' lists become one, byte by byte |
//! | [`watch`] | how the members' watches become one |
//! | [`fold`] | how the copies of a managed object become one |
//! | [`resource_version`] | what version a merged answer carries |
//! | [`body`] | what each member gets of a user's body |
//! | [`placement`] | how many replicas each member gets |
//! | [`power`] | what a member's nodes cost, and what more pods would add |
//! | [`quantity`] | what number a Kubernetes Quantity is |
//! | [`score`] | what is known of the members' watts |
//! | [`history`] | what of them is kept for charts |
//! | [`breaker`] | whether a member may be asked now |
//! | [`status`], [`warning`] | what a client reads when something is not as it should be |

pub mod body;
pub mod breaker;
pub mod config;
pub mod fold;
pub mod history;
pub mod identity;
pub mod ids;
pub mod list;
pub mod managed;
pub mod placement;
pub mod power;
pub mod quantity;
pub mod request;
pub mod resource_version;
pub mod score;
pub mod status;
pub mod warning;
pub mod watch;
