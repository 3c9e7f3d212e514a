//! Folds of Table rows.

use serde_json::Value;

use super::object::{Family, holders};
use super::{Copy, FoldClass, fold_object};
use crate::managed::Shares;
use crate::resource_version::VersionSpace;

/// Folds the rows (`{"cells": […], "object": {…}}`) of one object, in the members' order.
///
/// The cells must be aligned to the same columns. In a split workload's row, integers and the parts
/// of `a/b` cells are summed, and `b` counts the shares of members that do not answer, so that it
/// never says less than what was asked for; no kind that is folded has an integer column that a
/// sum would make wrong. All other cells are the lead's. The cell of the CLUSTER column is
/// appended. `None` where there is no row, or one without an object.
pub fn fold_row(class: FoldClass, rows: Vec<Copy>, space: &VersionSpace) -> Option<Value> {
    let objects: Vec<Copy> = rows
        .iter()
        .map(|row| {
            let object = row.object.get("object").filter(|object| object.is_object())?;
            Some(Copy { member: row.member.clone(), object: object.clone() })
        })
        .collect::<Option<_>>()?;
    let family = Family::of(objects.iter().map(|copy| (&copy.member, &copy.object)));
    let mut folded = cells(rows.get(family.lead)?)?.to_vec();
    let holders = holders(rows.iter().map(|row| &row.member));
    let cluster = match class {
        FoldClass::Replicate => holders,
        FoldClass::Split => {
            add_up(&mut folded, &rows, silent_shares(&rows, &family));
            family.shares.as_ref().map_or(holders, Shares::cell)
        }
    };
    folded.push(Value::from(cluster));
    let object = fold_object(class, objects, space)?;
    let mut row = rows.into_iter().nth(family.lead)?.object;
    let fields = row.as_object_mut()?;
    fields.insert("cells".to_owned(), Value::Array(folded));
    fields.insert("object".to_owned(), object);
    Some(row)
}

/// The replicas of members whose rows are not here.
fn silent_shares(rows: &[Copy], family: &Family) -> i64 {
    let shares = family.shares.iter().flat_map(Shares::iter);
    shares
        .filter(|(member, _)| !rows.iter().any(|row| row.member == *member))
        .fold(0, |sum, (_, share)| sum.saturating_add(i64::from(*share)))
}

/// Makes sums of those of the lead's `cells` that are counts.
fn add_up(cells_of_lead: &mut [Value], rows: &[Copy], silent: i64) {
    for (index, cell) in cells_of_lead.iter_mut().enumerate() {
        let column = || rows.iter().filter_map(|row| cells(row)?.get(index));
        if cell.is_i64() || cell.is_u64() {
            *cell = Value::from(sum(column().filter_map(Value::as_i64)));
        } else if ratio(cell).is_some() {
            let part = sum(column().filter_map(ratio).map(|(part, _)| part));
            let whole = sum(column().filter_map(ratio).map(|(_, whole)| whole));
            *cell = Value::from(format!("{part}/{}", whole.saturating_add(silent)));
        }
    }
}

fn cells(row: &Copy) -> Option<&[Value]> {
    row.object.get("cells")?.as_array().map(Vec::as_slice)
}

/// The parts of `a/b`.
fn ratio(cell: &Value) -> Option<(i64, i64)> {
    let (part, whole) = cell.as_str()?.split_once('/')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten()
    };
    Some((number(part)?, number(whole)?))
}

fn sum(numbers: impl Iterator<Item = i64>) -> i64 {
    numbers.fold(0, i64::saturating_add)
}
