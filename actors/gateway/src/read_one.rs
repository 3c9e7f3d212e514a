//! One object: folded where it is managed, else the first member's that has it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tenbin_fleet::answer::Answer;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::fold::{self, Copy};
use tenbin_model::request::accept::negotiate;
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::Object;
use tenbin_model::status::{Reason, Status};

use crate::asked::{Asked, target};
use crate::respond::{self, Answered};
use crate::{find, pass, serving};

mod copies;

use copies::{Copies, unreadable};

/// The largest object that is read.
const LIMIT: usize = 16 * 1024 * 1024;

/// One member's word on the object.
struct Word {
    member: Arc<Member>,
    said: Said,
}

enum Said {
    Object(Bytes),
    /// Any other answer, to be passed on if nobody has the object.
    Not(u16, Bytes),
    Silent(Fault),
}

/// Answers a GET of one object.
pub(crate) async fn read(asked: &Asked, object: &Object, class: WriteClass) -> Answered {
    let mut query = asked.newest_query()?;
    let (accepted, include_object) = asked.form(&mut query)?;
    let path = target(&object.path(), &query.to_string());
    let fold = class.fold();
    let words = match fold {
        Some(_) => words(asked, &path, &accepted.upstream, true).await?,
        None => first(asked, object, &path, &accepted.upstream).await?,
    };
    let (copies, mut warnings) = sort(&words);
    let silent: Vec<Fault> = words.iter().filter_map(Word::fault).collect();
    if fold.is_none() || copies.objects.is_empty() {
        find::missed(asked, object, &silent)?;
    }
    match copies.objects.first() {
        Some((member, _)) => {
            find::remember(asked, object, member, copies.objects.len() == 1, &silent);
        }
        None => find::forget(asked, object),
    }
    warnings.extend(copies.namesakes(&asked.table, fold));
    let mut response = if copies.objects.is_empty() {
        let (members, resource) = (asked.table.fleet.members(), &object.collection.resource);
        warnings.extend(serving::in_other_versions(asked, members, resource));
        nobody(asked, object, &words, &silent)?
    } else if accepted.is_table() {
        respond::json(200, copies.table(&asked.table, fold, include_object)?)
    } else {
        respond::json(200, copies.plain(&asked.table, fold)?)
    };
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// Answers a GET of `/scale`.
pub(crate) async fn scale(asked: Asked, object: &Object) -> Answered {
    let path = target(&object.whole().path(), "");
    let whole = words(&asked, &path, "application/json", true).await?;
    let (copies, warnings) = sort(&whole);
    let Some((home, total)) = copies.home(&asked.table) else {
        return find::pass(asked, object).await;
    };
    let query = asked.newest_query()?;
    let path = target(&asked.path, &query.to_string());
    let scales = words(&asked, &path, "application/json", true).await?;
    let (scales, _) = sort(&scales);
    let scales = scales.objects.into_iter().filter_map(|(member, body)| {
        Some(Copy { member, object: serde_json::from_slice(&body).ok()? })
    });
    let scales: Vec<Copy> = scales.collect();
    let accepted = negotiate(asked.accept().as_deref())?;
    let of_home = scales.iter().find(|scale| scale.member == home).or(scales.first());
    let lead = of_home.map(|scale| scale.member.clone()).ok_or_else(unreadable)?;
    let space = &asked.table.fleet.space;
    let mut answer = fold::fold_scale(&home, total, scales, space).ok_or_else(unreadable)?;
    if accepted.is_table() {
        let lead = pass::named(&asked, &lead)?;
        let table = match word(&asked, lead, &path, &accepted.upstream).await.said {
            Said::Object(table) => serde_json::from_slice(&table).map_err(|_| unreadable())?,
            Said::Not(code, body) => return Ok(respond::json(code, body)),
            Said::Silent(fault) => return Err(fault.to_status()),
        };
        answer = fold::scale_table(table, answer);
    }
    let mut response = respond::json(200, answer.to_string());
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// Asks the member that had the object lately; else own, and the others where own lacks it.
async fn first(
    asked: &Asked,
    object: &Object,
    path: &str,
    accept: &str,
) -> Result<Vec<Word>, Status> {
    if let Some(member) = find::lately(asked, object) {
        let word = word(asked, &member, path, accept).await;
        if matches!(word.said, Said::Object(_)) {
            return Ok(vec![word]);
        }
    }
    words(asked, path, accept, false).await
}

/// Asks own, and the others too where own lacks the object or all copies are wanted.
async fn words(asked: &Asked, path: &str, accept: &str, all: bool) -> Result<Vec<Word>, Status> {
    let own = pass::own(asked)?;
    let others = asked.table.fleet.members().get(1..).unwrap_or_default();
    let rest = || join_all(others.iter().map(|member| word(asked, member, path, accept)));
    if all {
        let (first, rest) =
            futures_util::future::join(word(asked, &own, path, accept), rest()).await;
        return Ok(std::iter::once(first).chain(rest).collect());
    }
    let first = word(asked, &own, path, accept).await;
    if matches!(first.said, Said::Object(_)) {
        return Ok(vec![first]);
    }
    Ok(std::iter::once(first).chain(rest().await).collect())
}

async fn word(asked: &Asked, member: &Arc<Member>, path: &str, accept: &str) -> Word {
    let said = match asked.get(member, path.to_owned(), accept) {
        Ok(call) => match asked.worker.lanes.send(member, call).await {
            Ok(answer) => said(answer).await,
            Err(fault) => Said::Silent(fault),
        },
        Err(status) => Said::Not(status.code, Bytes::from(status.to_json())),
    };
    Word { member: Arc::clone(member), said }
}

async fn said(answer: Answer) -> Said {
    let code = answer.status.as_u16();
    match answer.whole(LIMIT).await {
        Ok(body) if (200..=299).contains(&code) => Said::Object(body),
        Ok(body) => Said::Not(code, body),
        Err(fault) => Said::Silent(fault),
    }
}

/// The copies that came, and what is to be said of the members that brought none.
fn sort(words: &[Word]) -> (Copies, Vec<String>) {
    let (mut copies, mut warnings) = (Copies::default(), Vec::new());
    for word in words {
        let name = &word.member.name;
        match &word.said {
            Said::Object(body) => copies.objects.push((name.clone(), body.clone())),
            Said::Not(404, _) => copies.lacking.push(name.clone()),
            Said::Not(403, body) => {
                warnings.push(format!(
                    "left out: {name}: {}",
                    respond::message(Reason::Forbidden, body)
                ));
            }
            Said::Not(..) | Said::Silent(_) => {
                warnings.extend(word.fault().map(|fault| fault.to_string()));
            }
        }
    }
    (copies, warnings)
}

/// What own says where no member shows the object; where own is dead, nobody can tell.
///
/// Who does not serve the kind cannot say that there is no such object: then another does, if one can.
///
/// # Errors
/// 503 where own, or all who serve the kind, are silent.
fn nobody(asked: &Asked, object: &Object, words: &[Word], silent: &[Fault]) -> Answered {
    let lacking = words.iter().filter_map(|word| match &word.said {
        Said::Not(404, body) if names_object(body) => Some(body),
        Said::Object(_) | Said::Not(..) | Said::Silent(_) => None,
    });
    let lacking = lacking.into_iter().next();
    if lacking.is_none() {
        serving::missed(asked, &object.collection.resource, silent)?;
    }
    match words.first().map(|word| &word.said) {
        Some(Said::Not(404, body)) if !names_object(body) => match lacking {
            Some(body) => Ok(respond::json(404, body.clone())),
            None => Err(Status::new(
                Reason::NotFound,
                "the server could not find the requested resource",
            )),
        },
        Some(Said::Not(code, body)) => Ok(respond::json(*code, body.clone())),
        // A person reads it at once: with Retry-After kubectl would wait for 50 s.
        Some(Said::Silent(fault)) => {
            Err(Status::new(Reason::ServiceUnavailable, fault.to_string()))
        }
        Some(Said::Object(_)) | None => Err(unreadable()),
    }
}

// === impl Word ===

impl Word {
    /// Why the member says nothing of the object.
    fn fault(&self) -> Option<Fault> {
        match &self.said {
            Said::Object(_) => None,
            Said::Not(code, _) => find::unwell(&self.member.name, *code),
            Said::Silent(fault) => Some(fault.clone()),
        }
    }
}

/// Whether a `Status` is about an object, and not about a kind that is not served.
fn names_object(body: &[u8]) -> bool {
    let status = serde_json::from_slice::<Value>(body).unwrap_or_default();
    status.pointer("/details/name").is_some()
}
