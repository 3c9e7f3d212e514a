//! Merges any bytes as two members' answers, whole and in chunks.
//!
//! The first byte is the size of the chunks, the second chooses options; the members' answers
//! follow, parted by a zero byte.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::Value;
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::list::{IncludeObject, ListMerge, MergeOptions};
use tenbin_model::resource_version::VersionSpace;

/// Panics where a law does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let [chunk, flags, answers @ ..] = bytes else {
        return;
    };
    let mut answers = answers.splitn(2, |byte| *byte == 0);
    let answers = [answers.next().unwrap_or_default(), answers.next().unwrap_or_default()];
    let whole = merge(answers, usize::MAX, *flags);
    let chunked = merge(answers, usize::from(*chunk).max(1), *flags);
    assert_eq!(whole, chunked, "chunks change the answer");
    let json = |answer: &&[u8]| serde_json::from_slice::<Value>(answer).is_ok();
    if let (Some(merged), true) = (whole, answers.iter().all(json)) {
        serde_json::from_slice::<Value>(&merged).expect("the merge of JSON is JSON");
    }
}

/// `None` where the merge is refused.
fn merge(answers: [&[u8]; 2], chunk: usize, flags: u8) -> Option<Vec<u8>> {
    let members = ["tokyo", "osaka"].map(|name| ClusterName::new(name).expect("a name")).to_vec();
    let space = VersionSpace::new(NonZeroU64::MIN, members.clone()).expect("a space");
    let mut merge = ListMerge::new(MergeOptions {
        members,
        space: Arc::new(space),
        label_key: "tenbin".to_owned(),
        fold: match flags & 3 {
            0 => None,
            1 => Some(FoldClass::Replicate),
            _ => Some(FoldClass::Split),
        },
        one_key_once: flags & 4 != 0,
        show_state: flags & 8 != 0,
        include_object: if flags & 16 == 0 { IncludeObject::Metadata } else { IncludeObject::None },
        page: None,
    });
    let mut out = Vec::new();
    let mut rests = answers.map(Some);
    loop {
        while let Some(bytes) = merge.next_chunk().ok()? {
            out.extend_from_slice(&bytes);
        }
        if merge.finished() && rests.iter().all(Option::is_none) {
            return Some(out);
        }
        let mut moved = false;
        for (index, rest) in rests.iter_mut().enumerate() {
            let Some(bytes) = rest.filter(|_| merge.wants(index)) else {
                continue;
            };
            moved = true;
            let (head, tail) = bytes.split_at(bytes.len().min(chunk));
            merge.push(index, head).ok()?;
            *rest = Some(tail);
            if tail.is_empty() {
                merge.end(index).ok()?;
                *rest = None;
            }
        }
        assert!(moved, "the merge wants nothing and gives nothing");
    }
}
