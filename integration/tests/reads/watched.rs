//! What watches are, as against a real API server: one line an event, and refused where it refuses.

use anyhow::Result;

use super::{DAEMON, NAMES, filled};

/// API servers indent lists, of which the first events are made, for people's programs.
#[test]
fn an_event_is_one_line_for_every_client() -> Result<()> {
    let space = filled("watched-lines", [1, 1, 1])?;
    let watch = format!("{}?watch=1&timeoutSeconds=1", space.path("configmaps"));
    for agent in ["curl/8.5.0", "Wget/1.21", "Mozilla/5.0"] {
        let client = DAEMON.client()?.header("User-Agent", agent);
        for query in ["", "&pretty=true"] {
            let text = client.get(&format!("{watch}{query}"))?.success()?.text();
            assert_eq!(text.lines().count(), NAMES.len(), "{agent}{query}: {text}");
        }
    }
    Ok(())
}
