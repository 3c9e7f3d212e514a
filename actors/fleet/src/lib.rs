//! Who is a member, whether it may be asked now, and the connections that lead to it.
//!
//! | module | holds |
//! |---|---|
//! | [`access`] | a kubeconfig, made into address, TLS and credentials |
//! | [`member`] | one member, and [`member::Fleet`]: all of them at one moment |
//! | [`registry`] | the actor that decides who is a member |
//! | [`health`] | what is known of a member's life |
//! | [`forwarder`] | one actor a member: admission, breaker, probes |
//! | [`lane`] | the connections of one worker, and the one way to send a request |
//! | `ready` | whether a member that refuses has read its rules |
//! | [`places`] | how many requests a member has in flight |
//! | [`patience`] | how long a silent member is waited for |
//! | [`answer`] | a member's answer, whose body ends or fails, and never hangs |
//! | [`tunnel`] | a request that leaves HTTP, and the bytes both ways |
//! | [`slots`] | the members' places in versions, kept in own's API |
//! | [`region`] | what the nodes say of where they are |
//! | [`fault`] | why a member gave no answer |

pub mod access;
pub mod answer;
pub mod connect;
pub mod fault;
pub mod forwarder;
pub mod health;
pub mod lane;
pub mod member;
pub mod patience;
pub mod places;
mod ready;
pub mod region;
pub mod registry;
pub mod slots;
mod streams;
pub mod tunnel;
mod unzip;
