//! The users port, the peers port and the admin pages.
//!
//! | module | does |
//! |---|---|
//! | [`accept`] | TCP, TLS, the first head, HTTP/1.1 |
//! | [`tls`], `peek` | what a connection is made of |
//! | `authenticate`, `tokens` | who asks |
//! | [`router`] | the actor that publishes where requests go |
//! | [`discoverer`] | the actor that asks the members what they serve |
//! | `discovery`, `serving` | what clients are told of that, and who serves a kind |
//! | `handler` | one request, from its head to its audit line |
//! | `places` | how much one user may have under way |
//! | `audit` | the line that every request leaves |
//! | [`peers`] | the peers port: who sends, what is answered from memory, what goes to own |
//! | `asked` | what is known of a request once it is authenticated |
//! | `pass`, `find` | one member's answer, passed through |
//! | `lists`, `pump` | the members' lists, merged while they arrive |
//! | `watch` | the members' watches, merged while they arrive |
//! | `spare` | which dead members both can do without |
//! | `read_one` | one object, folded where it is managed |
//! | `write` | users' writes, handed to the writes crate |
//! | `upgrade` | requests that leave HTTP: exec, attach, port-forward |
//! | `respond` | answers that tenbin makes itself |
//! | [`admin`] | scores, health, actors, metrics |

pub mod accept;
pub mod admin;
mod asked;
mod audit;
mod authenticate;
pub mod discoverer;
mod discovery;
mod find;
mod handler;
mod holders;
mod involved;
mod lists;
mod pass;
mod peek;
pub mod peers;
mod places;
mod pump;
mod read_one;
mod respond;
pub mod router;
mod serving;
mod spare;
pub mod tls;
mod tokens;
mod upgrade;
mod watch;
pub mod worker;
mod write;
