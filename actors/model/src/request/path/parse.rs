//! Paths of the Kubernetes API, read as an API server reads them.
//!
//! An API server decodes a path and then splits it (apiserver 1.36, `requestinfo.go`), so that
//! `pods%2Fx` means `pods/x` to it. Here such a path is refused: what tenbin decides upon and what
//! a member reads must be the same.

use percent_encoding::percent_decode_str;

use super::{Collection, Object, RequestPath, Resource, Subresource};
use crate::ids::ClusterName;
use crate::request::escapes_are_whole;
use crate::status::{Reason, Status};

const EMPTY: &str = "the path has an empty segment";

/// The segments of a path that are still to be read.
struct Cursor<'a> {
    /// What follows the last `/` that was read; `None` at the end.
    rest: Option<&'a str>,
}

/// An object's name, with its subresource where that had to be read to tell them apart.
struct Named {
    name: String,
    subresource: Option<String>,
}

// === impl RequestPath ===

impl RequestPath {
    /// Reads a raw path: percent-encoded, without query.
    ///
    /// One `/` at the end is tolerated, as by API servers. Empty and dot segments, an encoded `/`
    /// or control character in a name, a wrong percent escape and wrong UTF-8 are a 400. A member's
    /// name that cannot be one is a 404.
    pub fn parse(raw: &str) -> Result<Self, Status> {
        if !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#') {
            return Err(bad("the path has characters that must be percent-encoded"));
        }
        let Some(inner) = raw.strip_prefix('/') else {
            return Err(bad("the path does not begin with '/'"));
        };
        let mut cursor = Cursor { rest: Some(inner) };
        match cursor.next()?.as_deref() {
            Some("clusters") => member(cursor),
            Some("api") => versioned(String::new(), cursor),
            Some("apis") => match cursor.next()? {
                Some(group) => versioned(group, cursor),
                None => Ok(Self::Discovery),
            },
            Some("openapi" | "version") => cursor.finish().map(|()| Self::Discovery),
            Some(_) | None => cursor.finish().map(|()| Self::NonResource),
        }
    }
}

// === impl Cursor ===

impl Cursor<'_> {
    /// The next segment, decoded; `None` at the end.
    fn next(&mut self) -> Result<Option<String>, Status> {
        let Some(rest) = self.rest else {
            return Ok(None);
        };
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        if segment.is_empty() {
            return if rest.is_none() { Ok(None) } else { Err(bad(EMPTY)) };
        }
        let name = decode(segment)?;
        if name.contains(|character: char| character == '/' || character.is_control()) {
            return Err(bad("the path has an encoded '/' or control character in a name"));
        }
        refuse_dots(&name)?;
        Ok(Some(name))
    }

    /// Reads what is left, for its errors only.
    fn finish(mut self) -> Result<(), Status> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// What is left as it is: empty, or from its leading `/` on.
    fn raw(self) -> Result<String, Status> {
        let Some(rest) = self.rest else {
            return Ok(String::new());
        };
        refuse_dots(&decode(rest)?)?;
        Ok(format!("/{rest}"))
    }
}

fn member(mut cursor: Cursor<'_>) -> Result<RequestPath, Status> {
    let Some(name) = cursor.next()? else {
        return Ok(RequestPath::NonResource);
    };
    let name = ClusterName::new(&name)
        .map_err(|error| Status::new(Reason::NotFound, error.to_string()))?;
    let rest = cursor.raw()?;
    match rest.as_str() {
        "" => Ok(RequestPath::Member { name, rest: "/".to_owned() }),
        // Beginning with `//` it could be taken for another host.
        _ if rest.starts_with("//") => Err(bad(EMPTY)),
        _ => Ok(RequestPath::Member { name, rest }),
    }
}

/// What follows `/api` or `/apis/{group}`.
fn versioned(group: String, mut cursor: Cursor<'_>) -> Result<RequestPath, Status> {
    let Some(version) = cursor.next()? else {
        return Ok(RequestPath::Discovery);
    };
    let Some(plural) = cursor.next()? else {
        return Ok(RequestPath::Discovery);
    };
    if plural == "watch" {
        return watched(group, version, cursor);
    }
    let (collection, named) = collection(group, version, plural, &mut cursor)?;
    let Some(Named { name, subresource }) = named else {
        return Ok(RequestPath::Collection(collection));
    };
    let subresource = match subresource {
        Some(part) => Some(part),
        None => cursor.next()?,
    };
    let subresource = subresource.map(|part| part_of(part, cursor)).transpose()?;
    Ok(RequestPath::Object(Object { collection, name, subresource }))
}

/// What follows the deprecated `/watch`.
fn watched(group: String, version: String, mut cursor: Cursor<'_>) -> Result<RequestPath, Status> {
    let Some(plural) = cursor.next()? else {
        return Err(bad("the path names nothing to watch"));
    };
    let (collection, named) = collection(group, version, plural, &mut cursor)?;
    let Some(Named { name, subresource }) = named else {
        return Ok(RequestPath::WatchCollection(collection));
    };
    if subresource.is_some() || cursor.next()?.is_some() {
        return Err(bad("a part of an object cannot be watched"));
    }
    Ok(RequestPath::WatchObject(Object { collection, name, subresource: None }))
}

/// A subresource and the rest; the `/` at the end means something to a proxied application only.
fn part_of(name: String, cursor: Cursor<'_>) -> Result<Subresource, Status> {
    let rest = cursor.raw()?;
    let rest = if rest == "/" && name != "proxy" { String::new() } else { rest };
    Ok(Subresource { name, rest })
}

/// Reads `{plural}[/{name}]` or `namespaces/{namespace}/{plural}[/{name}]`.
fn collection(
    group: String,
    version: String,
    plural: String,
    cursor: &mut Cursor<'_>,
) -> Result<(Collection, Option<Named>), Status> {
    let in_namespace =
        |plural, namespace| Collection { resource: Resource { group, version, plural }, namespace };
    let Some(name) = cursor.next()? else {
        return Ok((in_namespace(plural, None), None));
    };
    if plural != "namespaces" {
        let named = Named { name, subresource: None };
        return Ok((in_namespace(plural, None), Some(named)));
    }
    match cursor.next()? {
        Some(plural) if plural != "status" && plural != "finalize" => {
            let named = cursor.next()?.map(|name| Named { name, subresource: None });
            Ok((in_namespace(plural, Some(name)), named))
        }
        subresource => Ok((in_namespace(plural, None), Some(Named { name, subresource }))),
    }
}

/// Decodes percent escapes; unlike the crate's lenient decoder it refuses wrong ones.
fn decode(raw: &str) -> Result<String, Status> {
    if !escapes_are_whole(raw) {
        return Err(bad("the path has a wrong percent escape"));
    }
    let decoded = percent_decode_str(raw).decode_utf8();
    decoded.map(String::from).map_err(|_| bad("the path is not UTF-8"))
}

fn refuse_dots(decoded: &str) -> Result<(), Status> {
    if decoded.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(bad("the path has a '.' or '..' segment"));
    }
    Ok(())
}

fn bad(message: &str) -> Status {
    Status::new(Reason::BadRequest, message)
}
