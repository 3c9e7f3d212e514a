//! What may last as long as it likes, and has a stream's place.

use anyhow::Result;

use super::{daemon, filled};

#[test]
fn what_lasts_at_an_api_server_has_a_streams_place() -> Result<()> {
    let space = filled("lasting", [1, 1, 1])?;
    let daemon = daemon("lasting").config("[limits]\nstreams_per_user = 1").start()?;
    let (client, pods) = (daemon.client()?, space.path("pods"));
    let watch = client.open("GET", &format!("{pods}?watch=1"), None)?;
    let code = |method: &str, path: &str| anyhow::Ok(client.send(method, path, None)?.status);
    for member in ["", "/clusters/osaka"] {
        for part in ["web/log", "web/log?follow=true", "web:80/proxy/", "web:80/proxy/a?b;c"] {
            let path = format!("{member}{pods}/{part}");
            assert_eq!(code("GET", &path)?, 429, "{path}");
        }
        let path = format!("{member}{pods}/web/proxy/");
        for method in ["HEAD", "POST", "PUT", "DELETE"] {
            assert_eq!(code(method, &path)?, 429, "{method} {path}");
        }
        for (part, wanted) in [("?follow=true", 200), ("/watch?watch=1", 404)] {
            let path = format!("{member}{pods}{part}");
            assert_eq!(code("GET", &path)?, wanted, "{path}");
        }
    }
    drop(watch);
    Ok(())
}
