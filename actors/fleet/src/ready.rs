//! Whether a member that refuses has read its rules.

use std::sync::Arc;
use std::time::Duration;

use awc::http::header::HeaderMap;
use awc::http::{Method, StatusCode};
use bytes::Bytes;

use crate::answer::Answer;
use crate::fault::Fault;
use crate::lane::{Call, Lanes, PROMPT, READ_LIMIT};
use crate::member::Member;

/// A refusal, and what `/readyz` says.
const LIMIT: usize = 64 * 1024;

// === impl Lanes ===

impl Lanes {
    /// As [`Lanes::send`], for reads by which a 403 means that there is nothing.
    ///
    /// An API server that starts refuses everybody for some milliseconds, until it has read its rules;
    /// its `/readyz` waits for that (`informer-sync`). So a 403 counts when it is said again after
    /// `/readyz` was answered with 200.
    ///
    /// # Errors
    /// [`Fault::Down`], too, where the member refuses and is not ready.
    pub async fn send_sure(&self, member: &Arc<Member>, call: Call) -> Result<Answer, Fault> {
        let answer = self.send(member, &call).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        // Read to their ends, so that the connections are kept.
        answer.whole(LIMIT).await?;
        let ready = self.send(member, readyz()).await?;
        let code = ready.status;
        ready.whole(LIMIT).await?;
        if !code.is_success() {
            let reason = format!("it refuses, and its /readyz answers {}", code.as_u16());
            return Err(Fault::Down { member: member.name.clone(), since: Duration::ZERO, reason });
        }
        self.send(member, call).await
    }
}

/// A question of the daemon's own.
fn readyz() -> Call {
    Call {
        method: Method::GET,
        path_and_query: "/readyz".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        first_byte: READ_LIMIT,
        patience: PROMPT,
    }
}
