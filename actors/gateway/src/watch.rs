//! The members' watches, merged while they arrive (`reads.md`, Watch).

mod ask;
mod plan;
mod pump;

use std::rc::Rc;

use actix_http::header::{CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::{Collection, Object};
use tokio::sync::mpsc;

use self::plan::Plan;
use self::pump::{Opened, Pump};
use crate::asked::Asked;
use crate::respond::{self, Answered};
use crate::{find, serving};

/// How many chunks wait for a client that reads slowly; each has some 256 KiB at most.
const CHUNKS_AHEAD: usize = 2;

/// Answers a watch.
pub(crate) async fn watch(
    asked: Asked,
    collection: Collection,
    name: Option<String>,
    class: WriteClass,
) -> Answered {
    if asked.catalogue().is_unwatchable(&collection.resource) {
        // Its lists have no version to go on from. Who serves it refuses, in its own words.
        return serving::pass(&asked, &collection).await;
    }
    if let (Some(name), true) = (&name, plan::is_bare(&asked)?) {
        // The version is that of one object, in the member that has it.
        let collection = collection.clone();
        let object = Object { collection, name: name.clone(), subresource: None };
        return find::watch(&asked, &object).await;
    }
    let mut plan = Plan::new(&asked, collection, name.as_deref(), class)?;
    plan.narrow_to_node(&asked).await?;
    let left_out = plan.left_out(&asked);
    let (pump, mut warnings) = match Pump::open(Rc::new(asked), plan).await? {
        Opened::Pump(pump, warnings) => (pump, warnings),
        Opened::Refused(response) => return Ok(response),
    };
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    warnings.extend(left_out);
    // A task of its own: members are read on, and left in time, while the client does not read.
    actix_rt::spawn(pump.run(sender));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, respond::JSON);
    let chunks =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    let mut response = respond::stream(200, headers, chunks.map(Ok::<Bytes, std::io::Error>));
    respond::warn(&mut response, &warnings);
    Ok(response)
}
